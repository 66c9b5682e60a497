package redisstore_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

func clusterStore(t *testing.T) (*redistest.Cluster, *redisstore.Store) {
	t.Helper()
	c := redistest.StartCluster(t, 3)
	b, err := redisstore.Open(t.Context(), c.URL(), &redisstore.Options{Prefix: rigPrefix, CommandTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if err := b.Restore(t.Context(), rigSnapshot()); err != nil {
		t.Fatal(err)
	}
	return c, b
}

// What goes to every node is told once and in order, whatever pool is new is
// learnt, and nobody subscribes to more than the pools.
func TestWatchOnCluster(t *testing.T) {
	t.Parallel()
	c, b := clusterStore(t)
	s := spyOn(t, b)
	must := func(op poolkeeper.Op) {
		t.Helper()
		if res := b.Apply(t.Context(), op)[0]; res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	const n = 30
	for i := range n {
		must(putOp(poolkeeper.DocumentKey("d.json"), fmt.Sprintf(`{"n":%d}`, i)))
		must(putOp(poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: fmt.Sprint(i)}), "{}"))
	}
	for i := range 3 {
		typ := fmt.Sprintf("new%d", i)
		must(poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: poolkeeper.PoolKey(typ), ID: "a", Data: []byte(`{"uuid":"a"}`)})
		s.wait("the pool "+typ, func(c poolkeeper.Change) bool { return c.Kind == poolkeeper.ChangePool && c.Key.Type == typ })
		use := useOp("a", 1)
		use.Key = poolkeeper.PoolKey(typ)
		must(use)
		s.wait("an increment in "+typ, func(c poolkeeper.Change) bool { return c.Kind == poolkeeper.ChangeState && c.Key.Type == typ })
	}
	must(putOp(poolkeeper.DocumentKey("d.json"), `{"last":true}`))
	last := s.wait("the last document", func(c poolkeeper.Change) bool { return c.Key.Kind == poolkeeper.KindDocument && c.After.Number == n+1 })
	var numbers []uint64
	for _, c := range s.changes() {
		if c.Key == last.Key {
			numbers = append(numbers, c.After.Number)
		}
	}
	if !slices.IsSorted(numbers) || len(numbers) != n+1 {
		t.Errorf("the document was told with the revisions %v, want 1 to %d, each once", numbers, n+1)
	}
	var shards []string
	c.ForEach(func(srv *redistest.Server) { shards = append(shards, srv.DoStrings("PUBSUB", "SHARDCHANNELS")...) })
	if len(shards) != 4 {
		t.Errorf("shard channels %q, want those of four pools", shards)
	}
}

// A slot that moves takes its channel along, and a node that is gone all of its.
func TestWatchEndsWhereTheClusterChanges(t *testing.T) {
	t.Parallel()
	t.Run("slot moved", func(t *testing.T) {
		c, b := clusterStore(t)
		s := spyOn(t, b)
		from := c.NodeFor(rigPool)
		to := c.Nodes[0]
		if to == from {
			to = c.Nodes[1]
		}
		for _, key := range from.Keys("*{" + rigPool + "}*") {
			from.DoInt("DEL", key)
		}
		from.DoInt("DEL", rigPool)
		slot, id := fmt.Sprint(redistest.Slot(rigPool)), to.DoString("CLUSTER", "MYID")
		for _, n := range []*redistest.Server{to, from} {
			n.DoString("CLUSTER", "SETSLOT", slot, "NODE", id)
		}
		s.ends(poolkeeper.ErrUnavailable)
	})
	t.Run("node killed", func(t *testing.T) {
		c, b := clusterStore(t)
		s := spyOn(t, b)
		c.Nodes[1].Kill()
		s.ends(poolkeeper.ErrUnavailable)
	})
	t.Run("node stopped", func(t *testing.T) {
		c, b := clusterStore(t)
		s := spyOn(t, b)
		c.Nodes[2].Pause()
		t.Cleanup(c.Nodes[2].Resume)
		s.ends(poolkeeper.ErrUnavailable)
	})
}
