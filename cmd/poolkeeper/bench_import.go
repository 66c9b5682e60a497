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

// benchImport measures an import into a store of its own, on all cores.
func (a *app) benchImport(ctx context.Context, o *benchOptions, side *bench.Side, url, prefix string) ([]bench.Row, error) {
	a.note("making a directory of %d providers and tokens", o.imports)
	temp, err := os.MkdirTemp("", "poolkeeper-bench-")
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%v", err)
	}
	defer os.RemoveAll(temp)
	dir := filepath.Join(temp, "in", "configs")
	frugal()
	writing, err := bench.MakeDir(dir, o.imports)
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%v", err)
	}
	reading, err := bench.ReadFiles(dir)
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%v", err)
	}
	var stores [2]*poolkeeper.Store
	for i := range stores {
		set, err := settings.Resolve(settings.Input{Flags: map[string]string{
			"redis-url": url, "key-prefix": prefix + "import" + strconv.Itoa(i) + ":", "backend": settings.BackendRedis,
		}})
		if err != nil {
			return nil, err
		}
		if stores[i], err = open.Store(ctx, set, &open.Options{Logger: a.logger(set)}); err != nil {
			return nil, err
		}
		defer stores[i].Close()
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU()))
	a.note("measuring a loop of awaited commands")
	awaited, err := side.CompareImport(ctx, dir)
	if err != nil {
		return nil, err
	}
	compared := []bench.Row{awaited, reading, writing}
	a.note("measuring import, verify and export")
	rows, err := bench.Import(ctx, stores[0], stores[1], dir, filepath.Join(temp, "out", "configs"))
	if err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].Compare(compared...)
	}
	return append(compared, rows...), nil
}
