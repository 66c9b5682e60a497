package redisstore_test

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A node of a Cluster that went back is mended, by whoever writes there and by
// nobody.
func TestOlderClusterNodeIsMended(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	r := &rig{T: t, srv: c.NodeFor(rigPool)}
	b := r.open(c.URL(), tenacious)
	if err := b.Restore(t.Context(), rigSnapshot()); err != nil {
		t.Fatal(err)
	}
	count := func() string {
		v, _ := c.Do(rigPool, "HGET", "t:state:{"+rigPool+"}", "b:usageCount")
		s, _ := v.(string)
		return s
	}
	c.ForEach(func(s *redistest.Server) { s.DoString("SAVE") })
	for range 20 {
		r.must(b, useOp("b", 1))
	}
	r.older()
	c.WaitReady()
	eventually(t, "all is counted", func() bool { return count() == "20" })
	r.older()
	c.WaitReady()
	r.must(b, useOp("b", 1))
	eventually(t, "all is counted again", func() bool { return count() == "21" })
	r.nothingLost(b)
}

// Behind Sentinel nothing that was acknowledged is missing in the end, whether the
// primary comes back as it was once, or a replica takes its place.
func TestSentinelSwitchIsMended(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	r := &rig{T: t, srv: g.Master()}
	b := r.open(g.URL(), tenacious)
	if err := b.Restore(t.Context(), rigSnapshot()); err != nil {
		t.Fatal(err)
	}
	r.srv.DoString("SAVE")
	for range 20 {
		r.must(b, useOp("b", 1))
	}
	r.older() // its replica follows it there
	count := func() string { return (&rig{T: t, srv: g.Master()}).usageOf("b") }
	eventually(t, "all is counted", func() bool { return count() == "20" })
	g.Failover() // to a replica that may have followed by then or not
	r.must(b, useOp("b", 1))
	defer func() {
		if t.Failed() {
			t.Logf("the master %s has %s, the one before %s; lost %v", g.Master().Addr(), count(), r.usageOf("b"), b.Lost())
		}
	}()
	eventually(t, "all is counted after the switch", func() bool { return count() == "21" })
	r.nothingLost(b)
}
