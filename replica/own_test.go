package replica_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// TestAnsweredAndNotTold: a change of one's own that nobody tells of is in the copy
// all the same, for edits when they are answered, for traffic when it is read.
func TestAnsweredAndNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		if err := store.Restore(t.Context(), filled(2)); err != nil {
			t.Fatal(err)
		}
		b := over(t, &faulty{Store: store, drop: 1000}, time.Now)
		st := poolkeeper.New(b, nil)
		defer st.Close()
		ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
		if _, err := st.PatchProvider(t.Context(), ref, poolkeeper.MergePatch, []byte(`{"x":1}`), poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
		if p := b.View().Provider(ref); !strings.Contains(string(p.Definition()), `"x":1`) {
			t.Errorf("the definition is %s", p.Definition())
		}
		if _, err := st.AddProvider(t.Context(), "new", []byte(`{"uuid":"a"}`)); err != nil {
			t.Fatal(err)
		}
		if b.View().Pool("new") == nil {
			t.Error("the new pool is not in the view")
		}
		res, err := st.Usage(t.Context(), ref, 1)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if p, err := st.Provider(t.Context(), ref); err != nil || p.Count(poolkeeper.UsageCount) != res.Count || time.Since(begin) > time.Second {
			t.Errorf("read %+v, %v after %v", p, err, time.Since(begin))
		}
		if _, err := st.DeletePool(t.Context(), "new", poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
		if b.View().Pool("new") != nil {
			t.Error("the deleted pool is in the view")
		}
	})
}

// TestRefusedForWhatOthersDid: whoever is refused, as somebody else was first,
// reads why.
func TestRefusedForWhatOthersDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		if err := store.Restore(t.Context(), filled(2)); err != nil {
			t.Fatal(err)
		}
		b := over(t, &faulty{Store: store, slow: time.Second}, time.Now)
		st, direct := poolkeeper.New(b, nil), poolkeeper.New(store, nil)
		defer st.Close()
		ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
		seen, err := st.Provider(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		patch := func(st *poolkeeper.Store, cond poolkeeper.If) error {
			return second(st.PatchProvider(t.Context(), ref, poolkeeper.MergePatch, fmt.Appendf(nil, `{"x":%q}`, cond), cond))
		}
		put := func(st *poolkeeper.Store, text string, cond poolkeeper.If) error {
			return second(st.PutDocument(t.Context(), "d.json", []byte(text), cond))
		}
		if err := errors.Join(patch(direct, poolkeeper.Always), put(direct, "1", poolkeeper.IfAbsent)); err != nil {
			t.Fatal(err)
		}
		if err := patch(st, poolkeeper.If(seen.ETag())); !errors.Is(err, poolkeeper.ErrConflict) {
			t.Fatalf("on what it was: %v", err)
		}
		if err := put(st, "2", poolkeeper.IfAbsent); !errors.Is(err, poolkeeper.ErrConflict) {
			t.Fatalf("what was not there: %v", err)
		}
		now, err := st.Provider(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := st.Document(t.Context(), "d.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(patch(st, poolkeeper.If(now.ETag())), put(st, "2", poolkeeper.If(doc.ETag()))); err != nil {
			t.Errorf("on what was read after the refusal: %v", err)
		}
		if _, err := direct.DeleteProvider(t.Context(), ref, poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Usage(t.Context(), ref, 1); !errors.Is(err, poolkeeper.ErrNotFound) {
			t.Fatalf("of what is gone: %v", err)
		}
		if _, err := st.Provider(t.Context(), ref); !errors.Is(err, poolkeeper.ErrNotFound) {
			t.Errorf("it is read: %v", err)
		}
	})
}
