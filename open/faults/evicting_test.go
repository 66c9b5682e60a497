package faults_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestFaultsEvicting: on a Redis that drops keys when it is full no store is begun. One
// that is there is served, with a warning, and exactly as long as nothing is dropped.
// When keys are, what counts they had is not promised any more, but everybody has an
// answer.
func TestFaultsEvicting(t *testing.T) {
	t.Parallel()
	seeds(t, func(t *testing.T, seed uint64) {
		srv := redistest.Start(t)
		srv.ConfigSet("maxmemory-policy", "allkeys-random")
		if err := direct(t, srv.SocketURL()).Restore(t.Context(), poolkeeper.NewSnapshot()); !errors.Is(err, poolkeeper.ErrForbidden) {
			t.Errorf("a store is begun: %v", err)
		}
		if n := srv.DoInt("DBSIZE"); n != 0 {
			t.Errorf("%d keys were written", n)
		}
		srv.ConfigSet("maxmemory-policy", "noeviction")
		fill(t, srv.SocketURL())
		srv.ConfigSet("maxmemory-policy", "allkeys-random")
		exact := newCrowd(t, srv.SocketURL(), seed)
		exact.more(300)
		exact.finish(onServer(srv))
		exact.nothingLost()

		all := newCrowd(t, srv.SocketURL(), seed)
		all.gone.Store(true)
		all.more(300)
		for i, st := range all.stores {
			info, err := st.Info(context.Background())
			if err != nil || !strings.Contains(strings.Join(info.Warnings, " "), "maxmemory-policy is allkeys-random") {
				t.Errorf("store %d warns of %q, %v", i, info.Warnings, err)
			}
		}
		dropped := func() int64 {
			n, _ := strconv.ParseInt(srv.Info("stats")["evicted_keys"], 10, 64)
			return n
		}
		if n := dropped(); n > 0 {
			t.Fatalf("%d keys were dropped", n)
		}
		before, acked := srv.DoInt("DBSIZE"), all.applied.Load()+all.queued.Load()
		used, _ := strconv.ParseInt(srv.Info("memory")["used_memory"], 10, 64)
		until(t, "keys are dropped", func() bool {
			used -= 2 << 10
			srv.ConfigSet("maxmemory", strconv.FormatInt(used, 10))
			return dropped() > 0
		})
		srv.ConfigSet("maxmemory", "0")
		until(t, "it goes on", func() bool { return all.applied.Load()+all.queued.Load() >= acked+1000 })
		t.Logf("%d keys of %d were dropped", dropped(), before)
	})
}
