package transfer_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/transfer"
)

const cutPrefix = "t:"

// openRedis opens a store that gives up at once.
func openRedis(t *testing.T, at string) (*poolkeeper.Store, error) {
	t.Helper()
	b, err := redisstore.Open(t.Context(), at, &redisstore.Options{Prefix: cutPrefix, CommandTimeout: 5 * time.Second, RetryFor: time.Millisecond})
	if err != nil {
		return nil, err
	}
	return poolkeeper.New(b, nil), nil
}

// content is what is in Redis, without what only keeps order among writers and
// without what expires by itself.
func content(srv *redistest.Server) map[string]string {
	all := srv.Dump()
	maps.DeleteFunc(all, func(k, _ string) bool {
		for _, helper := range []string{"ctl:", "stage:", "lock:", "meta"} {
			if strings.HasPrefix(k, cutPrefix+helper) {
				return true
			}
		}
		return false
	})
	return all
}

// The directory of a store in use, and the one that is brought into it. Nearly
// everything changes in a way of its own.
var (
	cutBefore = map[string]string{
		"configs/provider_pools.json": `{"a":[{"uuid":"1","usageCount":5,"KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/1.json"},{"uuid":"2","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/2.json"}],"gone":[{"uuid":"g","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/g.json"}],"same":[{"uuid":"s"}]}`,
		"configs/kiro/1.json":         `{"n":1}`, "configs/kiro/2.json": `{"n":2}`, "configs/kiro/g.json": `{"n":3}`,
		"configs/config.json": `{"v":1}`, "configs/plugins.json": `{"v":1}`, "configs/gone.txt": "1", "configs/pwd": "old",
		"configs/token-store.json": `{"tokens":{"one":{"username":"admin"},"two":{"username":"admin"}}}`,
	}
	cutAfter = map[string]string{
		"configs/provider_pools.json": `{"new":[{"uuid":"n","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/n.json"}],"a":[{"uuid":"3","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/1.json"},{"uuid":"1","usageCount":9,"x":1,"KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/1-new.json"}],"same":[{"uuid":"s"}]}`,
		"configs/kiro/1.json":         `{"n":11}`, "configs/kiro/1-new.json": `{"n":12}`, "configs/kiro/n.json": `{"n":13}`,
		"configs/config.json": `{"v":2}`, "configs/plugins.json": `{"v":2}`, "configs/new.txt": "1",
		"configs/token-store.json": `{"tokens":{"two":{"username":"admin"},"three":{"username":"admin"}}}`,
	}
	cutOptions = &transfer.ImportOptions{Mirror: true, Force: true}
)

// whole checks what a reader sees in the midst of an import: each pool and each
// value as it was or as it will be, and no definition that names a token which is
// to come, or is gone.
func whole(t *testing.T, at string, snap, before, after *poolkeeper.Snapshot) {
	t.Helper()
	ids := func(p *poolkeeper.Pool) string {
		var all strings.Builder
		if p == nil {
			return ""
		}
		for i := range p.Providers {
			all.WriteString(p.Providers[i].ID + " " + string(p.Providers[i].Definition) + "\n")
		}
		return all.String()
	}
	for typ, p := range snap.Pools {
		now, old, next := ids(p), ids(before.Pools[typ]), ids(after.Pools[typ])
		if now != old && now != next {
			t.Errorf("%s: the pool %s is neither old nor new:\n%s", at, typ, now)
		}
		for i := range p.Providers {
			for _, path := range poolkeeper.TokenPaths(p.Providers[i].Definition) {
				if _, had := before.Values[poolkeeper.TokenRefKey(path.Path)]; now == old && !had {
					continue
				}
				d, ok := snap.Values[poolkeeper.TokenRefKey(path.Path)]
				owner, err := poolkeeper.DecodeTokenOwner(d.Data)
				if _, there := snap.Token(owner); !ok || err != nil || !there {
					t.Errorf("%s: %s names %s, which is not there", at, p.Providers[i].Ref, path.Path)
				}
			}
		}
	}
	for k, d := range snap.Values {
		old, next := before.Values[k], after.Values[k]
		if string(d.Data) != string(old.Data) && string(d.Data) != string(next.Data) && k.Kind != poolkeeper.KindToken && k.Kind != poolkeeper.KindTokenRefs {
			t.Errorf("%s: %s is neither old nor new", at, k)
		}
	}
}

// TestImportCutOff ends an import at each of its commands, before Redis has run
// it and after that, and runs it again: the store must be as if nothing had
// happened.
func TestImportCutOff(t *testing.T) {
	srv := redistest.Start(t)
	dirBefore, dirAfter := dirtest.WriteTree(t, cutBefore), dirtest.WriteTree(t, cutAfter)
	direct := func() *poolkeeper.Store { return must(openRedis(t, srv.URL())) }
	for _, live := range []bool{false, true} {
		name := "empty store"
		if live {
			name = "store in use"
		}
		t.Run(name, func(t *testing.T) {
			reset := func() {
				srv.FlushAll()
				if live {
					st := direct()
					defer st.Close()
					mustImport(t, st, dirBefore, nil)
				}
			}
			reset()
			st := direct()
			before := poolkeeper.NewSnapshot()
			if live {
				before = snapshot(t, st)
			}
			mustImport(t, st, dirAfter, cutOptions)
			after, want := snapshot(t, st), content(srv)
			st.Close()
			step := 1
			if testing.Short() {
				step = 7
			}
			cuts, marks := 0, 0
			for n := 0; ; n += step {
				ended := false
				for _, executed := range []bool{false, true} {
					reset()
					proxy := redistest.StartProxy(t, srv.Addr())
					at := fmt.Sprintf("command %d, executed %v", n, executed)
					st, err := openRedis(t, proxy.URL())
					if err != nil {
						t.Fatal(err)
					}
					proxy.StopAfter(n, executed)
					_, err = transfer.Import(t.Context(), st, dirAfter, cutOptions)
					hit := proxy.Counts()[redistest.FaultCutBefore] + proxy.Counts()[redistest.FaultCutAfter]
					proxy.Close()
					st.Close()
					if hit == 0 {
						if err != nil {
							t.Fatalf("%s: no cut, and %v", at, err)
						}
						ended = true
						break
					}
					cuts++

					st = direct()
					info := must(st.Info(t.Context()))
					if info.Importing {
						marks++
					}
					switch snap, err := st.Snapshot(t.Context()); {
					case err == nil:
						whole(t, at, snap, before, after)
						if got := content(srv); !info.Importing && !cmp.Equal(got, want) && live && changed(t, snap, before) {
							t.Errorf("%s: changed, unfinished and not marked", at)
						}
					case live || !errors.Is(err, poolkeeper.ErrUninitialized):
						t.Errorf("%s: %v", at, err)
					}
					// The lock of a run that died is forgotten after a while.
					srv.DoInt("DEL", cutPrefix+"lock:{"+cutPrefix+"meta}")
					if _, err := transfer.Import(t.Context(), st, dirAfter, cutOptions); err != nil {
						t.Fatalf("%s: run again: %v", at, err)
					}
					if diff := cmp.Diff(want, content(srv)); diff != "" {
						t.Errorf("%s: run again, the store differs (-whole +cut off):\n%s", at, diff)
					}
					if must(st.Info(t.Context())).Importing {
						t.Errorf("%s: still marked", at)
					}
					st.Close()
					if t.Failed() {
						t.FailNow()
					}
				}
				if ended {
					break
				}
			}
			t.Logf("cut off %d times, seen marked %d times", cuts, marks)
			if cuts < 100/step || marks < 50/step {
				t.Error("that is not every command of it")
			}
		})
	}
}

// changed reports whether a store has other values or pools than before.
func changed(t *testing.T, now, before *poolkeeper.Snapshot) bool {
	t.Helper()
	if len(now.Values) != len(before.Values) || len(now.Types) != len(before.Types) {
		return true
	}
	for k, d := range now.Values {
		if string(before.Values[k].Data) != string(d.Data) {
			return true
		}
	}
	return false
}
