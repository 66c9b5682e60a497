package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
)

// A crowd counts on stores of this process until it is told to stop.
type crowd struct {
	*testing.T
	stores  []*poolkeeper.Store
	dirs    []string
	sure    [providerCount]atomic.Int64
	maybe   [providerCount]atomic.Int64
	applied atomic.Int64
	queued  atomic.Int64
	ended   context.Context
	end     func()
	work    sync.WaitGroup

	// What is reported in the end.
	lost   [poolCount]int64
	aside  [providerCount]int64
	doubts []string
}

// newCrowd opens three stores at an address and counts with thirty callers.
func newCrowd(t *testing.T, url string, seed uint64) *crowd {
	t.Helper()
	c := &crowd{T: t}
	c.ended, c.end = context.WithCancel(context.Background())
	for range 3 {
		dir := t.TempDir()
		set, err := resolve(url, dir)
		if err != nil {
			t.Fatal(err)
		}
		st, err := open.Store(t.Context(), set, &open.Options{Outlast: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		c.stores, c.dirs = append(c.stores, st), append(c.dirs, dir)
	}
	t.Cleanup(func() { // before the stores are closed
		c.end()
		c.work.Wait()
	})
	for i := range 30 {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		c.work.Go(func() {
			for {
				select {
				case <-c.ended.Done():
					return
				case <-time.After(time.Duration(r.Int64N(int64(5 * time.Millisecond)))):
				}
				c.count(c.stores[i%len(c.stores)], r.IntN(providerCount), 1+r.Int64N(3))
			}
		})
	}
	return c
}

func (c *crowd) count(st *poolkeeper.Store, provider int, n int64) {
	res, err := st.Usage(context.Background(), refOf(provider), n)
	switch {
	case errors.Is(err, poolkeeper.ErrIndeterminate):
		c.maybe[provider].Add(n)
	case err != nil:
		c.Errorf("an increment: %v", err)
	default:
		c.sure[provider].Add(n)
		if res.Status == poolkeeper.Applied {
			c.applied.Add(1)
		} else {
			c.queued.Add(1)
		}
	}
}

// more waits until so many more ops were applied.
func (c *crowd) more(n int64) {
	c.Helper()
	before := c.applied.Load()
	until(c.T, "ops are applied", func() bool { return c.applied.Load() >= before+n })
}

// finish ends the counting, lets all drain, closes the stores, and compares what is
// stored, as get reads it, with what callers were told, less what is reported.
func (c *crowd) finish(get func(key, field string) string) {
	c.Helper()
	c.end()
	c.work.Wait()
	for _, st := range c.stores {
		until(c.T, "nothing waits any more", func() bool {
			info, err := st.Info(context.Background())
			return err == nil && info.Mode == poolkeeper.ModeOnline && info.Queue.Ops+info.Queue.Frozen == 0
		})
	}
	c.reports()
	for pool := range poolCount {
		// What is lost is known by pool: where nothing is, each provider is exact.
		var all, sure, maybe, aside int64
		for p := pool; p < providerCount; p += poolCount {
			text := get(countKey(p))
			n, err := int64(0), error(nil)
			if text != "" { // which it is where nothing was counted
				n, err = strconv.ParseInt(text, 10, 64)
			}
			s, m, less := c.sure[p].Load(), c.maybe[p].Load(), c.aside[p]
			if err != nil || n > s+m || n < s-less && c.lost[pool] == 0 || less > s+m {
				c.Errorf("provider %d: %q are stored; %d were acknowledged, and %d without an answer; %d are set aside", p, text, s, m, less)
			}
			all, sure, maybe, aside = all+n, sure+s, maybe+m, aside+less
		}
		if lost := c.lost[pool]; lost > 0 && (all+lost < sure-aside || all+lost > sure+maybe) {
			c.Errorf("pool %d: %d are stored and %d reported as lost; %d were acknowledged, and %d without an answer; %d are set aside", pool, all, lost, sure, maybe, aside)
		}
	}
	c.Logf("%d increments were applied, %d queued; lost by pool: %v", c.applied.Load(), c.queued.Load(), c.lost)
}

// reports closes the stores, and reads what each has in its journal of what was lost,
// and of ops that are for a person to decide.
func (c *crowd) reports() {
	c.Helper()
	for i, st := range c.stores {
		if err := st.Close(); err != nil {
			c.Error(err)
		}
		had, err := backlog.Inspect(filepath.Join(c.dirs[i], "state", "journal"))
		if err != nil {
			c.Fatal(err)
		}
		for _, l := range had.Lost {
			if l.Key.Kind != poolkeeper.KindPool || l.AtMost {
				c.Errorf("it is not known how much is lost of what: %+v", l)
			}
			for pool := range poolCount {
				if poolOf(pool) == l.Key.Type {
					c.lost[pool] += l.N
				}
			}
		}
		for _, a := range had.Aside {
			c.doubts = append(c.doubts, fmt.Sprintf("%s of %s: %v", a.Op.Kind, a.Op.ID, a.Err))
			for p := range providerCount {
				if refOf(p).ID == a.Op.ID {
					c.aside[p] += a.Op.N
				}
			}
		}
	}
}

// nothingLost fails the test where a store has reported a loss, or set something aside.
func (c *crowd) nothingLost() {
	c.Helper()
	if c.lost != [poolCount]int64{} || len(c.doubts) > 0 {
		c.Errorf("all should be there; reported as lost, by pool: %v; set aside: %s", c.lost, c.doubts)
	}
}

// sumOf is what all counts add up to, as get reads them.
func sumOf(get func(key, field string) string) (n int64) {
	for p := range providerCount {
		stored, _ := strconv.ParseInt(get(countKey(p)), 10, 64)
		n += stored
	}
	return n
}

// onServer and onCluster read a count plainly.
func onServer(srv *redistest.Server) func(key, field string) string {
	return func(key, field string) string { return srv.DoString("HGET", key, field) }
}

func onCluster(c *redistest.Cluster) func(key, field string) string {
	return func(key, field string) string {
		v, err := c.Do(key, "HGET", key, field)
		switch {
		case err != nil:
			return err.Error()
		case v == nil:
			return ""
		}
		return fmt.Sprint(v)
	}
}
