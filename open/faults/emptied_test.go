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

// TestFaultsNodeEmptied: one node of a cluster, which does not have the epoch, loses all
// that it has, and the others go on. It is put back from the copies that the instances
// have, the counts exactly; only what was on its way when it was lost is set aside.
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
				addValues(t, fill(t, c.URL()))
				var node *redistest.Server
				for pool := range poolCount {
					if key, _ := countKey(pool); c.NodeFor(key) != c.NodeFor(metaKey) {
						node = c.NodeFor(key)
					}
				}
				all := newCrowd(t, c.URL(), seed)
				all.more(1000)
				before := sumOf(onCluster(c))
				lose(t, c, node)
				all.more(1000)
				for _, st := range all.stores {
					complete(t, st, c.URL())
				}
				all.finish(onCluster(c))
				if all.lost != [poolCount]int64{} {
					t.Errorf("reported as lost, by pool: %v", all.lost)
				}
				t.Logf("%d were counted before; set aside: %s", before, all.doubts)
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
