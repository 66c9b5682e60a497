package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/bench"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
)

// benchCopy measures reads from a copy, and how soon others read what was written.
func (a *app) benchCopy(ctx context.Context, o *benchOptions, url, prefix string) ([]bench.Row, error) {
	const providers, watchers, writes = 1000, 10, 10_000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU()))
	set, err := settings.Resolve(settings.Input{Flags: map[string]string{
		"redis-url": url, "key-prefix": prefix + "copy:", "backend": settings.BackendRedis,
	}})
	if err != nil {
		return nil, err
	}
	from, err := open.Store(ctx, set, &open.Options{Logger: a.logger(set)})
	if err != nil {
		return nil, err
	}
	defer from.Close()
	if err := bench.Fill(ctx, from, providers); err != nil {
		return nil, err
	}
	set.Journal.Kind = settings.JournalMemory // nothing is to be left behind
	state, err := os.MkdirTemp("", "poolkeeper-bench-")
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%v", err)
	}
	defer os.RemoveAll(state) // with the snapshots, once all are closed
	var to []*poolkeeper.Store
	for i := range watchers {
		set := *set
		set.StateDir = filepath.Join(state, strconv.Itoa(i))
		st, err := open.Store(ctx, &set, &open.Options{Logger: a.logger(&set), Outlast: true})
		if err != nil {
			return nil, err
		}
		defer st.Close()
		to = append(to, st)
	}
	a.note("measuring reads from the copy for %s", o.duration)
	rows, err := bench.Reads(ctx, to[0], o.duration)
	if err != nil {
		return nil, err
	}
	for _, m := range []struct{ watchers, load int }{{1, 0}, {1, writes}, {watchers, writes}} {
		a.note("measuring convergence of %d others beside %d writes a second for %s", m.watchers, m.load, o.duration)
		row, err := bench.Converge(ctx, from, to[:m.watchers], m.load, o.duration)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
