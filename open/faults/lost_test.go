package faults_test

import (
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestFaultsOlder: redis-server comes back without what it has acknowledged since it
// last saved. Each instance brings what it has acknowledged in the meantime, and all of
// it is there, once.
func TestFaultsOlder(t *testing.T) {
	t.Parallel()
	seeds(t, func(t *testing.T, seed uint64) {
		srv := redistest.Start(t)
		fill(t, srv.SocketURL())
		proxy := redistest.StartProxy(t, srv.Socket())
		all := newCrowd(t, proxy.URL(), seed)
		times := 5
		if bounded() {
			times = 2
		}
		for range times {
			all.more(300)
			srv.DoString("SAVE")
			all.more(300)
			proxy.Down()
			before := sumOf(onServer(srv))
			srv.Kill()
			srv.Restart()
			if after := sumOf(onServer(srv)); after >= before {
				t.Errorf("%d were counted before, and %d are: nothing was lost", before, after)
			}
			proxy.Up()
		}
		all.more(300)
		all.finish(onServer(srv))
		all.nothingLost()
	})
}
