package replica_test

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// TestOutage: while the store is away reads go on from the copy, which says since
// when; nobody is let in by default; writes are refused as the store refuses them.
// When it is back, everything that others have done meanwhile shows at once.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		if err := store.Restore(t.Context(), filled(1000)); err != nil {
			t.Fatal(err)
		}
		direct := poolkeeper.New(store, nil)
		source := &faulty{Store: store}
		b := over(t, source, time.Now)
		st := poolkeeper.New(b, nil)
		defer st.Close()
		must := func(_ poolkeeper.Result, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(st.SetPassword(t.Context(), "correct horse battery"))
		must(st.PutSession(t.Context(), "live", []byte(`{"u":1}`), time.Now().Add(time.Hour)))
		must(st.PutSession(t.Context(), "short", []byte(`{"u":2}`), time.Now().Add(time.Second)))
		must(st.PutFile(t.Context(), "configs/f", []byte("x"), poolkeeper.Always))
		ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
		must(st.PutToken(t.Context(), ref, []byte(`{"accessToken":"FAKE"}`), poolkeeper.Always))

		synctest.Wait()
		began := time.Now()
		source.cut()
		synctest.Wait()
		time.Sleep(5 * time.Second)
		if p, err := st.Pool(t.Context(), ref.Type); err != nil || len(p.Providers) != 1000 {
			t.Errorf("the pool: %v", err)
		}
		if _, err := st.Token(t.Context(), ref); err != nil {
			t.Errorf("the token: %v", err)
		}
		if ok, err := st.VerifyPassword(t.Context(), "correct horse battery"); err != nil || !ok {
			t.Errorf("the password: %v, %v", ok, err)
		}
		for _, word := range []string{"", "admin123", "wrong"} {
			if ok, err := st.VerifyPassword(t.Context(), word); ok || err != nil {
				t.Errorf("the password %q: %v, %v", word, ok, err)
			}
		}
		if _, err := st.Session(t.Context(), "live"); err != nil {
			t.Errorf("a session: %v", err)
		}
		for _, bearer := range []string{"", "random", "short"} {
			if _, err := st.Session(t.Context(), bearer); !errors.Is(err, poolkeeper.ErrNotFound) {
				t.Errorf("the session of %q: %v", bearer, err)
			}
		}
		key := poolkeeper.SessionKey(poolkeeper.SessionName("short"))
		for _, asked := range []poolkeeper.Key{key, {Kind: poolkeeper.KindSession}} {
			snap, err := b.Load(t.Context(), asked)
			if _, ok := snap.Values[key]; ok || err != nil || len(snap.Values) > 1 {
				t.Errorf("%s: %d values, %v", key, len(snap.Values), err)
			}
		}
		if _, err := st.File(t.Context(), "configs/f"); !errors.Is(err, poolkeeper.ErrUnavailable) {
			t.Errorf("a carried file: %v", err)
		}
		if _, err := st.Provider(t.Context(), poolkeeper.Ref{Type: ref.Type, ID: "unknown"}); !errors.Is(err, poolkeeper.ErrUnavailable) {
			t.Errorf("an id that may be an old one: %v", err)
		}
		if _, err := st.Pool(poolkeeper.ReadCurrent(t.Context()), ref.Type); !errors.Is(err, poolkeeper.ErrUnavailable) {
			t.Errorf("a read that must be current: %v", err)
		}
		if _, err := st.Usage(t.Context(), ref, 1); !errors.Is(err, poolkeeper.ErrUnavailable) {
			t.Errorf("a write: %v", err)
		}
		if meta, err := st.Meta(t.Context()); err != nil || meta["epoch"] == "" {
			t.Errorf("the facts: %v, %v", meta, err)
		}
		since := "since " + began.UTC().Format(time.RFC3339)
		if info, err := st.Info(t.Context()); err != nil || !strings.HasSuffix(info.Details["copy"], since) || len(info.Warnings) != 1 {
			t.Errorf("Info: %+v, %v; want %s", info, err, since)
		}
		if m := b.Measure(t.Context()).Copy; m.Age < 5*time.Second || m.Age > 6*time.Second || m.Lost != 1 {
			t.Errorf("measured: %+v", *m)
		}

		// Others write meanwhile, a pool of a new type among it.
		must(direct.Usage(t.Context(), ref, 5))
		must(direct.PutToken(t.Context(), ref, []byte(`{"accessToken":"FAKE-2"}`), poolkeeper.Always))
		must(direct.DeleteSession(t.Context(), "live"))
		must(direct.AddProvider(t.Context(), "new", []byte(`{"uuid":"n"}`)))
		want, err := direct.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		loads := source.loads.Load()
		back := time.Now()
		source.away.Store(false)
		for b.Measure(t.Context()).Copy.Age > 0 {
			time.Sleep(time.Millisecond)
		}
		if d := time.Since(back); d > 100*time.Millisecond {
			t.Errorf("current %v after the store was back", d)
		}
		got, err := st.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := storetest.Diff(want, got); d != "" {
			t.Errorf("after it was back:\n%s", d)
		}
		if n := source.loads.Load() - loads; n > 12 {
			t.Errorf("%d loads for it", n)
		}
	})
}

// TestUnchangedPoolsAreNotLoaded: after a lost watch, a pool that is as it was is
// compared and not loaded.
func TestUnchangedPoolsAreNotLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		snap := filled(10)
		for i := range 20 {
			typ := "t" + strconv.Itoa(i)
			snap.AddPool(&poolkeeper.Pool{Type: typ, Providers: []poolkeeper.Provider{{Ref: poolkeeper.Ref{Type: typ, ID: "a"}, Definition: []byte(`{"uuid":"a"}`)}}})
		}
		if err := store.Restore(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
		source := &faulty{Store: store}
		b := over(t, source, time.Now)
		defer b.Close()
		synctest.Wait()
		view := b.View()
		source.cut()
		synctest.Wait()
		op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t3"), ID: "a", N: 1}
		if res := store.Apply(t.Context(), op)[0]; res.Err != nil {
			t.Fatal(res.Err)
		}
		source.away.Store(false)
		time.Sleep(time.Second)
		m := b.Measure(t.Context()).Copy
		if m.Age != 0 || m.Reloads["watch"] != 1 {
			t.Errorf("measured: %+v", *m)
		}
		for _, typ := range view.Types() {
			if same := b.View().Pool(typ) == view.Pool(typ); same == (typ == "t3") {
				t.Errorf("pool %s was made anew: %v", typ, !same)
			}
		}
	})
}

// TestCannotBeHeard: where changes are never told, as the user of the store may
// not hear them, reads ask the store, and that shows.
func TestCannotBeHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		if err := store.Restore(t.Context(), filled(3)); err != nil {
			t.Fatal(err)
		}
		source := &faulty{Store: store, refusal: poolkeeper.Errorf(poolkeeper.ErrForbidden, "NOPERM")}
		b := over(t, source, time.Now)
		st := poolkeeper.New(b, nil)
		defer st.Close()
		ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
		for range 3 {
			if _, err := poolkeeper.New(store, nil).Usage(t.Context(), ref, 1); err != nil {
				t.Fatal(err)
			}
			res, err := st.Usage(t.Context(), ref, 1)
			if err != nil {
				t.Fatal(err)
			}
			v, err := st.View(t.Context())
			if err != nil || v.Provider(ref).Count(poolkeeper.UsageCount) != res.Count {
				t.Errorf("a view: %v", err)
			}
			time.Sleep(10 * time.Second)
		}
		if info, err := st.Info(t.Context()); err != nil || len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], "NOPERM") {
			t.Errorf("Info: %+v, %v", info, err)
		}
		if b.View() != nil || b.Measure(t.Context()).Copy.Made {
			t.Error("there is a copy that nothing keeps current")
		}
	})
}

// TestLoadedBesideWrites: a pool that is loaded while ten thousand writes a second
// go on is caught up with by what was told meanwhile, and needs one load.
func TestLoadedBesideWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		if err := store.Restore(t.Context(), filled(1000)); err != nil {
			t.Fatal(err)
		}
		source := &faulty{Store: store, loading: 50 * time.Millisecond}
		b := over(t, source, time.Now)
		defer b.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 10_000 {
				time.Sleep(100 * time.Microsecond)
				op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("claude-kiro-oauth"), ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i*7%1000), N: 1}
				if res := store.Apply(t.Context(), op)[0]; res.Err != nil {
					t.Error(res.Err)
				}
			}
		})
		time.Sleep(100 * time.Millisecond)
		source.cut()
		time.Sleep(100 * time.Millisecond)
		source.away.Store(false)
		time.Sleep(300 * time.Millisecond)
		m := b.Measure(t.Context()).Copy
		if m.Age != 0 || m.Reloads["gap"] > 0 || m.Reloads["watch"] != 1 {
			t.Errorf("while writes go on: %+v", *m)
		}
		wg.Wait()
		synctest.Wait()
		want, _ := store.Load(t.Context(), poolkeeper.PoolsKey)
		got, err := b.Load(t.Context(), poolkeeper.PoolsKey)
		if err != nil {
			t.Fatal(err)
		}
		if d := storetest.Diff(want, got); d != "" {
			t.Errorf("after writes:\n%s", d)
		}
		if m := b.Measure(t.Context()).Copy; m.Reloads["gap"] > 0 || m.Changes < 8000 {
			t.Errorf("measured: %+v", *m)
		}
	})
}

// TestCutOnRedis: the connection on which changes are told is cut while others
// write, on a real Redis; soon after everything is current.
func TestCutOnRedis(t *testing.T) {
	srv := redistest.Start(t)
	direct := poolkeeper.New(openRedis(t, srv.SocketURL(), "p:"), nil)
	defer direct.Close()
	if err := direct.Restore(t.Context(), filled(100)); err != nil {
		t.Fatal(err)
	}
	b := over(t, openRedis(t, srv.SocketURL(), "p:"), nil)
	defer b.Close()
	ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
	for round := range 5 {
		if _, err := srv.Do("CLIENT", "KILL", "TYPE", "pubsub"); err != nil {
			t.Fatal(err)
		}
		if _, err := direct.Usage(t.Context(), ref, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := direct.PutDocument(t.Context(), "d", fmt.Appendf(nil, `{"round":%d}`, round), poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
		if _, err := direct.AddProvider(t.Context(), "new"+strconv.Itoa(round), []byte(`{"uuid":"a"}`)); err != nil {
			t.Fatal(err)
		}
		want, err := direct.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			got, err := b.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			d := storetest.Diff(want, got)
			if d == "" {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("round %d:\n%s", round, d)
			}
		}
	}
	if m := b.Measure(t.Context()).Copy; m.Lost == 0 {
		t.Errorf("no watch was lost: %+v", *m)
	}
}

// TestCutForAWhile: after the way to Redis was cut, everything that others have done
// meanwhile shows, a pool of a new type too. How soon is told, not asserted.
func TestCutForAWhile(t *testing.T) {
	srv := redistest.Start(t)
	direct := poolkeeper.New(openRedis(t, srv.SocketURL(), "p:"), nil)
	defer direct.Close()
	if err := direct.Restore(t.Context(), filled(1000)); err != nil {
		t.Fatal(err)
	}
	proxy := redistest.StartProxy(t, srv.Socket())
	b := over(t, openRedis(t, proxy.URL(), "p:"), nil)
	defer b.Close()
	ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
	for round := range 3 {
		proxy.Down()
		time.Sleep(*cutFor)
		if _, err := direct.Usage(t.Context(), ref, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := direct.PutToken(t.Context(), ref, fmt.Appendf(nil, `{"round":%d}`, round), poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
		fresh := poolkeeper.Ref{Type: "new" + strconv.Itoa(round), ID: "a"}
		if _, err := direct.AddProvider(t.Context(), fresh.Type, []byte(`{"uuid":"a"}`)); err != nil {
			t.Fatal(err)
		}
		want, err := direct.Provider(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		proxy.Up()
		began := time.Now()
		for {
			v := b.View()
			snap, err := b.Load(t.Context(), poolkeeper.TokenKey(ref))
			if err == nil && v.Provider(ref).Count(poolkeeper.UsageCount) == want.Count(poolkeeper.UsageCount) && v.Provider(fresh) != nil &&
				string(snap.Values[poolkeeper.TokenKey(ref)].Data) == fmt.Sprintf(`{"round":%d}`, round) {
				break
			}
			if time.Since(began) > 30*time.Second {
				t.Fatalf("round %d: not current, %v", round, err)
			}
			time.Sleep(100 * time.Microsecond)
		}
		t.Logf("cut for %s: current %s after it was back", *cutFor, time.Since(began).Round(100*time.Microsecond))
	}
}

var cutFor = flag.Duration("cut.for", 300*time.Millisecond, "how long the way to Redis is cut")
