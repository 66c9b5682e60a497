package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/open"
)

// A crowd counts on stores of this process until it is told to stop.
type crowd struct {
	*testing.T
	stores  []*poolkeeper.Store
	sure    [providerCount]atomic.Int64
	maybe   [providerCount]atomic.Int64
	applied atomic.Int64
	queued  atomic.Int64
	ended   chan struct{}
	work    sync.WaitGroup
}

// newCrowd opens three stores at an address and counts with thirty callers.
func newCrowd(t *testing.T, url string, seed uint64) *crowd {
	t.Helper()
	c := &crowd{T: t, ended: make(chan struct{})}
	for range 3 {
		set, err := resolve(url, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		st, err := open.Store(t.Context(), set, &open.Options{Outlast: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		c.stores = append(c.stores, st)
	}
	for i := range 30 {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		c.work.Go(func() {
			for {
				select {
				case <-c.ended:
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

// finish ends the counting, lets all drain, and compares what is stored, as get reads
// it, with what callers were told.
func (c *crowd) finish(get func(key, field string) string) {
	c.Helper()
	close(c.ended)
	c.work.Wait()
	for i, st := range c.stores {
		until(c.T, "nothing waits any more", func() bool {
			info, err := st.Info(context.Background())
			return err == nil && info.Mode == poolkeeper.ModeOnline && info.Queue.Ops+info.Queue.Frozen == 0
		})
		if pending, err := st.Pending(context.Background()); err != nil || len(pending.Aside) > 0 {
			c.Errorf("store %d has set aside: %+v, %v", i, pending, err)
		}
	}
	for p := range providerCount {
		key, field := countKey(p)
		text := get(key, field)
		stored, err := strconv.ParseInt(text, 10, 64)
		if sure, maybe := c.sure[p].Load(), c.maybe[p].Load(); err != nil || stored < sure || stored > sure+maybe {
			c.Errorf("provider %d: %q are stored; %d were acknowledged, and %d without an answer", p, text, sure, maybe)
		}
	}
	c.Logf("%d increments were applied, %d queued", c.applied.Load(), c.queued.Load())
}

// TestFaultsResharding: slots move to another node while their keys are written.
func TestFaultsResharding(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64) {
		c := redistest.StartCluster(t, 3)
		fill(t, c.URL())
		all := newCrowd(t, c.URL(), seed)
		all.more(300)
		times := 10
		if bounded() {
			times = 2
		}
		r := rand.New(rand.NewPCG(seed, 1<<32))
		for range times {
			for p := range poolCount {
				key, _ := countKey(p)
				reshard(t, c, key, c.Nodes[r.IntN(len(c.Nodes))])
				all.more(50)
			}
		}
		all.finish(func(key, field string) string {
			v, err := c.Do(key, "HGET", key, field)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprint(v)
		})
	})
}

// reshard moves the slot of a key to a node, key by key, as redis-cli does.
func reshard(t *testing.T, c *redistest.Cluster, key string, to *redistest.Server) {
	t.Helper()
	must := func(v any, err error) any {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if _, err := c.Do(key, "EXISTS", key); err != nil { // learns where it is
		t.Fatal(err)
	}
	from, slot := c.NodeFor(key), strconv.Itoa(redistest.Slot(key))
	if from == to {
		return
	}
	must(to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.DoString("CLUSTER", "MYID")))
	must(from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.DoString("CLUSTER", "MYID")))
	for {
		names := from.DoStrings("CLUSTER", "GETKEYSINSLOT", slot, "1")
		if len(names) == 0 {
			break
		}
		must(from.Do("MIGRATE", "127.0.0.1", strconv.Itoa(to.Port()), names[0], "0", "5000"))
	}
	id := to.DoString("CLUSTER", "MYID")
	must(to.Do("CLUSTER", "SETSLOT", slot, "NODE", id))
	must(from.Do("CLUSTER", "SETSLOT", slot, "NODE", id))
	for _, n := range c.Nodes {
		if n != to && n != from {
			must(n.Do("CLUSTER", "SETSLOT", slot, "NODE", id))
		}
	}
}

// TestFaultsNodeRestarted: one node of a cluster is killed and comes back with its
// append-only file.
func TestFaultsNodeRestarted(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64) {
		c := redistest.StartCluster(t, 3, redistest.WithAOF("always"))
		fill(t, c.URL())
		all := newCrowd(t, c.URL(), seed)
		all.more(300)
		for _, n := range c.Nodes {
			before := all.queued.Load()
			n.Kill()
			until(t, "ops are queued", func() bool { return all.queued.Load() >= before+20 })
			n.Restart()
			c.WaitReady()
			all.more(100)
		}
		all.finish(func(key, field string) string {
			v, err := c.Do(key, "HGET", key, field)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprint(v)
		})
	})
}

// TestFaultsFailover: Sentinel makes the replica, which has everything, the master,
// forth and back.
func TestFaultsFailover(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64) {
		g := redistest.StartSentinel(t, redistest.WithAOF("always"))
		fill(t, g.URL())
		all := newCrowd(t, g.URL(), seed)
		all.more(300)
		times := 4
		if bounded() {
			times = 1
		}
		for range times {
			// An orderly change of master, as for an upgrade: nothing is lost by it.
			master, replica := g.Master(), g.Replica()
			if _, err := master.Do("FAILOVER", "TO", "127.0.0.1", strconv.Itoa(replica.Port()), "TIMEOUT", "10000"); err != nil {
				t.Fatal(err)
			}
			until(t, "the replica is the master", func() bool { return replica.Info("replication")["role"] == "master" })
			g.WaitMaster(master)
			all.more(100)
		}
		all.finish(func(key, field string) string { return g.Master().DoString("HGET", key, field) })
	})
}
