package replica_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// TestHiddenIsFound: what no change has told of is found by the slow check, of
// each kind of thing, and that shows.
func TestHiddenIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		if err := store.Restore(t.Context(), full(3)); err != nil {
			t.Fatal(err)
		}
		b := over(t, &faulty{Store: store, drop: 1000}, time.Now)
		defer b.Close()
		st, direct := poolkeeper.New(b, nil), poolkeeper.New(store, nil)
		ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
		for _, err := range []error{
			second(direct.Usage(t.Context(), ref, 1)),
			second(direct.PutToken(t.Context(), ref, []byte(`{"accessToken":"FAKE-2"}`), poolkeeper.Always)),
			second(direct.DeleteToken(t.Context(), poolkeeper.Ref{Type: ref.Type, ID: "00000000-0000-4000-8000-000000000002"}, poolkeeper.Always)),
			second(direct.PutConfig(t.Context(), []byte(`{"a":1}`), poolkeeper.Always)),
			second(direct.PutDocument(t.Context(), "d.json", []byte(`{}`), poolkeeper.Always)),
			second(direct.PutSession(t.Context(), "bearer", []byte(`{}`), time.Time{})),
			second(direct.AddProvider(t.Context(), "new", []byte(`{"uuid":"a"}`))),
			second(direct.ReorderTypes(t.Context(), []string{"new", ref.Type})),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		want, err := direct.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := st.Snapshot(t.Context()); err != nil || storetest.Diff(want, got) == "" {
			t.Fatalf("it was told of the changes: %v", err)
		}
		time.Sleep(5 * time.Minute)
		got, err := st.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := storetest.Diff(want, got); d != "" {
			t.Errorf("after the checks:\n%s", d)
		}
		if m := b.Measure(t.Context()).Copy; m.Reloads["check"] < 5 {
			t.Errorf("measured: %+v", *m)
		}
	})
}

func second(_ poolkeeper.Result, err error) error { return err }

// TestStoreSetBack: a store that comes back older than the copy is not believed
// until those who could mend it had the time for that, and that shows.
func TestStoreSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		older, newer := memstore.New(nil), memstore.New(nil)
		for _, s := range []*memstore.Store{older, newer} {
			if err := s.Restore(t.Context(), filled(3)); err != nil {
				t.Fatal(err)
			}
		}
		ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
		source := &faulty{Store: newer, epoch: "of both"}
		b := over(t, source, time.Now)
		st := poolkeeper.New(b, nil)
		defer st.Close()
		for range 5 {
			if _, err := st.Usage(t.Context(), ref, 1); err != nil {
				t.Fatal(err)
			}
			if _, err := st.PutToken(t.Context(), ref, fmt.Appendf(nil, `{"at":%d}`, time.Now().UnixNano()), poolkeeper.Always); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if _, err := poolkeeper.New(older, nil).PutToken(t.Context(), ref, []byte(`{"at":0}`), poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		source.cut()
		synctest.Wait()
		source.Store = older
		source.away.Store(false)
		time.Sleep(time.Second)
		p, err := st.Provider(t.Context(), ref)
		if err != nil || p.Count(poolkeeper.UsageCount) != 6 {
			t.Errorf("the provider is read as %+v, %v", p, err)
		}
		if tok, err := st.Token(t.Context(), ref); err != nil || string(tok.Data) == `{"at":0}` {
			t.Errorf("the token is read as %s, %v", tok.Data, err)
		}
		if info, err := st.Info(t.Context()); err != nil || !strings.Contains(strings.Join(info.Warnings, " "), "older") || b.Measure(t.Context()).Copy.Older == 0 {
			t.Errorf("Info: %+v, %v", info, err)
		}
		// Where nobody mends it, it is as it is, and its changes show.
		time.Sleep(10 * time.Second)
		if tok, err := st.Token(t.Context(), ref); err != nil || string(tok.Data) != `{"at":0}` {
			t.Errorf("ten seconds later the token is read as %s, %v", tok.Data, err)
		}
		if p, err := st.Provider(t.Context(), ref); err != nil || p.Count(poolkeeper.UsageCount) != 1 {
			t.Errorf("ten seconds later the provider is read as %+v, %v", p, err)
		}
		if _, err := poolkeeper.New(older, nil).Usage(t.Context(), ref, 7); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := b.View().Provider(ref).Count(poolkeeper.UsageCount); n != 8 {
			t.Errorf("after that the counter is %d", n)
		}
		newer.Close()
	})
}
