package faults_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// metaKey is where Redis has the epoch, as the documentation says.
const metaKey = "faults:meta"

// TestFaultsNodeEmptied: one node of a cluster loses all that it has, and the others go
// on. What was acknowledged of its pools is reported, all of it, and the pools of the
// others are as they were. What does not hold is in docs/faults.md: its pools are empty.
func TestFaultsNodeEmptied(t *testing.T) {
	t.Parallel()
	for what, lose := range map[string]func(*testing.T, *redistest.Cluster, *redistest.Server){
		"flushed": func(_ *testing.T, _ *redistest.Cluster, n *redistest.Server) { n.FlushAll() },
		"restarted without its file": func(t *testing.T, c *redistest.Cluster, n *redistest.Server) {
			n.Kill()
			removeAOF(t, n)
			n.Restart()
			c.WaitReady()
		},
		"begun anew": func(_ *testing.T, c *redistest.Cluster, n *redistest.Server) { c.Renew(n) },
	} {
		t.Run(what, func(t *testing.T) {
			seeds(t, func(t *testing.T, seed uint64) {
				c := redistest.StartCluster(t, 3, redistest.WithAOF("always"))
				fill(t, c.URL())
				var node *redistest.Server
				here := map[int]bool{}
				for pool := range poolCount {
					key, _ := countKey(pool)
					if n := c.NodeFor(key); n != c.NodeFor(metaKey) && (node == nil || n == node) {
						node, here[pool] = n, true
					}
				}
				all := newCrowd(t, c.URL(), seed)
				all.more(1000)
				all.gone.Store(true)
				before := sumOf(onCluster(c))
				lose(t, c, node)
				if after := sumOf(onCluster(c)); after >= before {
					t.Errorf("%d were counted before, and %d are: nothing was lost", before, after)
				}
				all.more(1000)
				all.finish(onCluster(c))
				for pool := range poolCount {
					lost, aside := all.lost[pool], int64(0)
					for p := pool; p < providerCount; p += poolCount {
						aside += all.aside[p]
					}
					if here[pool] != (lost+aside > 0) {
						t.Errorf("pool %d: %d are reported as lost, %d are set aside; is it on the node that was emptied? %v", pool, lost, aside, here[pool])
					}
				}
			})
		})
	}
}

// TestFaultsEpochEmptied: the node of a cluster that has the epoch is emptied. The store
// is not believed: reads go on, writes are queued, and nothing is put back on top of
// what the other nodes have. When that is removed, recover puts all of it back, once.
func TestFaultsEpochEmptied(t *testing.T) {
	t.Parallel()
	seeds(t, func(t *testing.T, seed uint64) {
		c := redistest.StartCluster(t, 3, redistest.WithAOF("always"))
		fill(t, c.URL())
		all := newCrowd(t, c.URL(), seed)
		all.more(300)
		c.NodeFor(metaKey).FlushAll()
		for _, st := range all.stores {
			mode(t, st, poolkeeper.ModeLost)
		}
		before, had := all.queued.Load(), c.Dump()
		until(t, "ops are queued", func() bool { return all.queued.Load() >= before+100 })
		if redistest.Hash(c.Dump()) != redistest.Hash(had) {
			t.Error("it was written to")
		}
		for _, st := range all.stores {
			if view, err := st.View(context.Background()); err != nil || view.Provider(refOf(0)) == nil {
				t.Errorf("the view: %v", err)
			}
		}
		recover := func() error {
			_, err := all.stores[0].Backend().(poolkeeper.Recoverer).Recover(context.Background(), false)
			return err
		}
		if err := recover(); !errors.Is(err, poolkeeper.ErrForeign) || !strings.Contains(poolkeeper.HintOf(err), "on all nodes") {
			t.Errorf("on top of what is left: %v", err)
		}
		c.FlushAll()
		if err := recover(); err != nil {
			t.Fatal(err)
		}
		for _, st := range all.stores {
			mode(t, st, poolkeeper.ModeOnline)
		}
		all.more(300)
		all.finish(onCluster(c))
		if all.lost != [poolCount]int64{} {
			t.Errorf("reported as lost, by pool: %v", all.lost)
		}
		t.Logf("set aside: %s", all.doubts)
	})
}
