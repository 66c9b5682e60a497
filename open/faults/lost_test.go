package faults_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestFaultsOlder: redis-server comes back without what it has acknowledged since it
// last saved. Each instance brings what it has acknowledged in the meantime, and all of
// it is there, once.
func TestFaultsOlder(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64) {
		srv := redistest.Start(t)
		fill(t, srv.SocketURL())
		proxy := redistest.StartProxy(t, srv.Socket())
		all := newCrowd(t, proxy.URL(), seed)
		times := 5
		if bounded() {
			times = 2
		}
		sum := func() (n int64) {
			for p := range providerCount {
				key, field := countKey(p)
				stored, _ := strconv.ParseInt("0"+srv.DoString("HGET", key, field), 10, 64)
				n += stored
			}
			return n
		}
		for range times {
			all.more(300)
			srv.DoString("SAVE")
			all.more(300)
			proxy.Down()
			before := sum()
			srv.Kill()
			srv.Restart()
			if after := sum(); after >= before {
				t.Errorf("%d were counted before, and %d are: nothing was lost", before, after)
			}
			proxy.Up()
		}
		all.more(300)
		all.finish(func(key, field string) string { return srv.DoString("HGET", key, field) })
		if ops, n := all.lost(); ops != 0 || n != 0 {
			t.Errorf("%d ops, of %d increments, are reported as lost, and all is there", ops, n)
		}
	})
}

// lost is how much all stores have reported as lost.
func (c *crowd) lost() (ops, n int64) {
	c.Helper()
	for _, st := range c.stores {
		pending, err := st.Pending(context.Background())
		if err != nil {
			c.Fatal(err)
		}
		for _, l := range pending.Lost {
			ops += l.Ops
			n += l.N
		}
	}
	return ops, n
}
