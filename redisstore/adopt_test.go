package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// forkStore is the fixture, and what makes a conversion do everything that one
// can: pools that Poolkeeper names otherwise, providers that change places,
// tokens that give way, counters, and a key of nobody's.
func forkStore(t *testing.T) [][]string {
	const p = "aiclient:"
	return append(forkCommands(t),
		[]string{"HSET", p + "pools:team:blue {x}", "one", `{"uuid":"two","n":1}`, "two", `{"uuid":"one","n":2}`, "three", `{"uuid":"one","n":3}`},
		[]string{"SET", p + "tokens:team:blue {x}:one", `{"access_token":"FAKE-1"}`},
		[]string{"HSET", p + "pools:same", "a", `{"uuid":"a","usageCount":5}`, "b", `{"uuid":"b"}`},
		[]string{"SADD", p + "pool-types", "empty"},
		[]string{"SET", p + "counters:same:a:usageCount", "9"},
		// The token that the module writes is newer than the one of the migration.
		[]string{"SET", p + "tokens:" + forkCodex + ":" + forkC1, `{"access_token":"FAKE-old","expired":"2020-01-01T00:00:00.000Z"}`},
		[]string{"SETEX", p + "tokens:same:a", "1000", `{"access_token":"FAKE-2"}`},
		[]string{"SET", p + "tokens:same:nobody", `{"access_token":"FAKE-3"}`},
		[]string{"SET", p + "nobody:knows", "this"},
	)
}

// A store that is converted where it lies is what an import of it would be, and
// has nothing of the layout left but what nobody knows.
func TestAdopt(t *testing.T) {
	r := forkRig(t, forkStore(t))
	want, _ := r.loadForeign(r.b)
	if err := r.b.Adopt(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*redisstore.Store{r.b, r.open(r.srv.SocketURL(), forkPrefix)} {
		got, err := b.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := storetest.Diff(want, got); d != "" {
			t.Errorf("the store is not what was read:\n%s", d)
		}
		if info, err := b.Info(t.Context()); err != nil || !info.Ready || info.Importing || len(info.Warnings) != 0 {
			t.Errorf("Info: %+v, %v", info, err)
		}
	}
	for _, k := range r.srv.Keys("*") {
		rest := strings.TrimPrefix(k, "aiclient:")
		switch first, _, _ := strings.Cut(rest, ":"); {
		case strings.Contains(k, "743c7e67"), first == "token-lock", first == "kiro", first == "counters", first == "leftovers", first == "stage", first == "lock",
			rest == "tokens:openai-codex:"+forkC1, rest == "tokens:"+forkKiro+":1769176045109", rest == "pools:team:blue {x}":
			t.Errorf("%s is left", k)
		}
		if first, _, _ := strings.Cut(rest, ":"); first == "tokens" && r.srv.DoInt("PTTL", k) != -1 {
			t.Errorf("%s expires", k)
		}
	}
	if v := r.srv.DoString("GET", "aiclient:nobody:knows"); v != "this" {
		t.Errorf("the key that nobody knows is %q", v)
	}
	// It counts on from what was there.
	for _, use := range []struct {
		id   string
		want int64
	}{{"a", 10}, {"b", 1}} {
		op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("same"), ID: use.id, N: 1, At: rigAt}
		if res := r.must(r.b, op); res.Count != use.want {
			t.Errorf("%s counts %d, want %d", use.id, res.Count, use.want)
		}
	}
	r.unchanged("a second time", func() {
		if err := r.b.Adopt(t.Context(), want); err != nil {
			t.Error(err)
		}
	})
}

// A conversion that ends at any of its commands loses nothing: what the layout
// had is still read, the gateway still finds its own keys, no other import gets
// at it, and it is simply run again.
func TestAdoptCutOff(t *testing.T) {
	t.Parallel()
	cmds := forkStore(t)
	want := adopted(t, cmds)
	srv := redistest.Start(t)
	through := 0
	for n := 0; through < 2; n++ {
		for _, executed := range []bool{false, true} {
			srv.FlushAll()
			fill(t, srv, cmds)
			r := &rig{T: t, srv: srv}
			name := fmt.Sprintf("after %d commands, executed %v", n, executed)
			before, _ := r.loadForeign(r.open(srv.SocketURL(), forkPrefix))
			proxy, b := r.proxied(forkPrefix, impatient)
			proxy.StopAfter(n, executed)
			err := b.Adopt(t.Context(), before)
			b.Close()
			proxy.Close()
			if err == nil {
				through++
			}
			initialised := srv.DoString("HGET", "aiclient:meta", "epoch") != ""
			if err == nil != initialised && !initialised {
				t.Fatalf("%s: it came through, and there is no store", name)
			}
			srv.DoInt("DEL", "aiclient:lock:{aiclient:meta}") // as time would do
			again := r.open(srv.SocketURL(), forkPrefix)
			if !initialised {
				r.stillForeign(name, again, contents(before))
				snap, _, err := again.LoadForeign(t.Context())
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if err := again.Adopt(t.Context(), snap); err != nil {
					t.Fatalf("%s: run again: %v", name, err)
				}
			} else {
				left := len(srv.Keys("aiclient:leftovers*")) > 0
				if info, err := again.Info(t.Context()); err != nil || left != (len(info.Warnings) > 0) {
					t.Errorf("%s: something is left: %v; warnings %q, %v", name, left, info.Warnings, err)
				}
				if err := again.Adopt(t.Context(), nil); err != nil {
					t.Fatalf("%s: finished: %v", name, err)
				}
			}
			got, err := again.Load(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			sameContents(t, name, want, contents(got))
			if keys := append(srv.Keys("aiclient:leftovers*"), srv.Keys("aiclient:stage*")...); len(keys) != 0 || len(srv.Keys("*743c7e67*")) != 0 {
				t.Errorf("%s: there are still %q", name, keys)
			}
			if t.Failed() {
				return
			}
		}
	}
}

// stillForeign checks what a conversion that was cut off has left.
func (r *rig) stillForeign(name string, b *redisstore.Store, want map[string]string) {
	r.Helper()
	r.unchanged("a restore", func() {
		if err := b.Restore(r.Context(), rigSnapshot()); !errors.Is(err, poolkeeper.ErrForeign) {
			r.Errorf("%s: Restore: %v, want ErrForeign", name, err)
		}
	})
	snap, _, err := b.LoadForeign(r.Context())
	if err != nil {
		r.Fatalf("%s: %v", name, err)
	}
	sameContents(r.T, name+": what is read", want, contents(snap))
	for key, want := range map[string]string{
		"aiclient:tokens:openai-codex:" + forkC1:         `{"access_token":"FAKE","refresh_token":"FAKE","expired":"2026-06-01T00:00:00.000Z","type":"codex"}`,
		"aiclient:pwd":                                   "admin123",
		"aiclient:sessions:" + forkOwner:                 `{"username":"admin","loginTime":4102441200000,"expiryTime":4102444800000}`,
		"aiclient:tokens:" + forkKiro + ":1769176045109": r.srv.DoString("GET", "aiclient:tokens:"+forkKiro+":"+forkK1),
	} {
		if got := r.srv.DoString("GET", key); got != want {
			r.Errorf("%s: the gateway no longer finds %.30s…", name, key)
		}
	}
	if n := r.srv.DoInt("HLEN", "aiclient:pools:"+forkKiro); n != 3 {
		r.Errorf("%s: the gateway finds %d providers", name, n)
	}
}

// What is not as it was read is left alone.
func TestAdoptOfAnother(t *testing.T) {
	r := forkRig(t, forkCommands(t))
	for _, change := range [][]string{
		{"SET", "aiclient:tokens:" + forkKiro + ":" + forkK1, `{"refreshToken":"FAKE-rotated"}`},
		{"HSET", "aiclient:pools:" + forkKiro, forkK1, `{"uuid":"` + forkK1 + `","usageCount":4}`},
		{"HDEL", "aiclient:pools:" + forkKiro, ""},
		{"SADD", "aiclient:pool-types", "another"},
		{"HSET", "aiclient:meta", "version", "1.1"},
		{"SETEX", "aiclient:sessions:new", "100", `{}`},
		{"DEL", "aiclient:sessions:" + forkOwner},
		{"DEL", "aiclient:pwd"},
	} {
		snap, _ := r.loadForeign(r.b)
		if _, err := r.srv.Do(change...); err != nil {
			t.Fatal(err)
		}
		r.unchanged("a conversion of a store that changed", func() {
			if err := r.b.Adopt(t.Context(), snap); !errors.Is(err, poolkeeper.ErrConflict) || poolkeeper.HintOf(err) == "" {
				t.Errorf("%q: %v, want ErrConflict with a hint", change[:2], err)
			}
			if err := r.b.Adopt(t.Context(), nil); !errors.Is(err, poolkeeper.ErrConflict) {
				t.Errorf("%v, want ErrConflict", err)
			}
		})
	}
	// A session that ends meanwhile is none.
	r.srv.DoString("SET", "aiclient:sessions:new", "{}", "PX", "500")
	snap, _ := r.loadForeign(r.b)
	r.srv.DoInt("DEL", "aiclient:sessions:new")
	if err := r.b.Adopt(t.Context(), snap); err != nil {
		t.Errorf("a session has ended meanwhile: %v", err)
	}
	other := r.open(r.srv.SocketURL())
	if err := other.Adopt(t.Context(), snap); !errors.Is(err, poolkeeper.ErrUninitialized) {
		t.Errorf("of an empty store: %v, want ErrUninitialized", err)
	}
}

// A key that is left over of the layout and was written to since, as it is a key
// of the store as well, stays.
func TestAdoptLeavesWhatIsWritten(t *testing.T) {
	r := forkRig(t, forkCommands(t))
	snap, _ := r.loadForeign(r.b)
	if err := r.b.Adopt(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	// As where it is cut off before it has removed anything.
	written := poolkeeper.TokenKey(poolkeeper.Ref{Type: forkKiro, ID: "1769176045109"})
	r.must(r.b, putOp(written, `{"new":1}`))
	for _, k := range []string{"tokens:" + forkKiro + ":1769176045109", "tokens:openai-codex:" + forkC1} {
		r.srv.DoInt("SADD", "aiclient:leftovers:{aiclient:meta}", "aiclient:"+k)
	}
	r.srv.DoString("SET", "aiclient:tokens:openai-codex:"+forkC1, "{}")
	if info, err := r.b.Info(t.Context()); err != nil || len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], "--in-place") {
		t.Errorf("Info: %+v, %v", info, err)
	}
	if err := r.b.Adopt(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	got, err := r.b.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Values[written].Data) != `{"new":1}` || len(r.srv.Keys("aiclient:tokens:openai-codex:*")) != 0 || len(r.srv.Keys("aiclient:leftovers*")) != 0 {
		t.Errorf("there are %q", r.srv.Keys("aiclient:*"))
	}
}

// A stage that Redis has lost a part of does not take the place of the pool.
func TestAdoptOfHalfAStage(t *testing.T) {
	r := forkRig(t, forkCommands(t))
	snap, _ := r.loadForeign(r.b)
	tap := startTap(t, r.srv.Socket())
	b := r.open(tap.url(), forkPrefix, patient)
	tap.hold("$7\r\nEVALSHA\r\n") // what puts it in place
	var wg sync.WaitGroup
	var err error
	wg.Go(func() { err = b.Adopt(t.Context(), snap) })
	tap.waitHeld(t)
	for _, k := range r.srv.Keys("aiclient:stage*") {
		r.srv.DoInt("HDEL", k, forkK1)
	}
	before := r.srv.DoString("HGET", "aiclient:pools:"+forkKiro, forkK1)
	tap.letGo()
	wg.Wait()
	if !errors.Is(err, poolkeeper.ErrConflict) || before == "" || r.srv.DoString("HGET", "aiclient:pools:"+forkKiro, forkK1) != before {
		t.Errorf("%v, want ErrConflict, and the pool as it was", err)
	}
	snap, _, err = r.b.LoadForeign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.b.Adopt(t.Context(), snap); err != nil {
		t.Error(err)
	}
}
