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

// TestFaultsKeysDropped: Redis drops one of the keys of a pool, or all of them, or values,
// while it is counted in. What was dropped is put back from the copies: the counts are
// exact, and no definition, token or document is missing.
func TestFaultsKeysDropped(t *testing.T) {
	t.Parallel()
	helper := func(name string) func(string) []string {
		return func(key string) []string { return []string{"faults:" + name + ":{" + key + "}"} }
	}
	for what, keys := range map[string]func(pool string) []string{
		"what it knows of changes": helper("ctl"),
		"the counts":               helper("state"),
		"the order":                helper("order"),
		"the definitions":          func(key string) []string { return []string{key} },
		"the counts and the changes": func(key string) []string {
			return append(helper("ctl")(key), helper("state")(key)...)
		},
		"the definitions and the changes": func(key string) []string { return append(helper("ctl")(key), key) },
		"all of a pool": func(key string) []string {
			return append(append(append(helper("ctl")(key), helper("state")(key)...), helper("order")(key)...), key)
		},
		"values": func(string) []string {
			return []string{"faults:config", "faults:token-refs", "faults:ctl:{faults:token-refs}", "faults:tokens:" + poolOf(0) + ":" + refOf(0).ID, "faults:doc:a.json", "faults:ctl:{faults:doc:a.json}", "faults:pool-order", "faults:ctl:{faults:pool-order}"}
		},
	} {
		t.Run(what, func(t *testing.T) {
			seeds(t, func(t *testing.T, seed uint64) {
				srv := redistest.Start(t)
				st := fill(t, srv.SocketURL())
				addValues(t, st)
				all := newCrowd(t, srv.SocketURL(), seed)
				all.more(300)
				key, _ := countKey(0)
				key = strings.TrimSuffix(key[strings.Index(key, "{")+1:], "}")
				for n := range 3 { // what nobody has missed is gone the second time
					dropped := int64(0)
					for _, k := range keys(key) {
						dropped += srv.DoInt("UNLINK", k)
					}
					if n == 0 && dropped == 0 {
						t.Error("nothing was dropped")
					}
					all.more(300)
				}
				for i, st := range all.stores {
					view, err := st.View(context.Background())
					if err != nil || view.Pool(poolOf(0)) == nil || view.Pool(poolOf(0)).Len() != providerCount/poolCount {
						t.Errorf("the view of store %d: %v", i, err)
					}
				}
				complete(t, all.stores[0], srv.SocketURL())
				all.finish(onServer(srv))
				if all.lost != [poolCount]int64{} {
					t.Errorf("reported as lost, by pool: %v", all.lost)
				}
				t.Logf("set aside: %s", all.doubts)
			})
		})
	}
}

// TestFaultsEvicting: on a Redis that drops keys when it is full no store is begun. One
// that is there is served, with a warning, and what is dropped of it is put back from the
// copies as long as it is known which store it is.
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
		addValues(t, fill(t, srv.SocketURL()))
		srv.ConfigSet("maxmemory-policy", "allkeys-random")
		all := newCrowd(t, srv.SocketURL(), seed)
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
		if srv.DoInt("EXISTS", metaKey) == 0 { // which is another fault: see TestFaultsEmptied
			return
		}
		complete(t, all.stores[0], srv.SocketURL())
		all.finish(onServer(srv))
		if all.lost != [poolCount]int64{} {
			t.Errorf("reported as lost, by pool: %v", all.lost)
		}
	})
}
