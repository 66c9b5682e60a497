package open_test

import (
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestAnotherStoreAtTheStart: a store of another content than the one that the journal is
// for is not shown, nor does it take the place of the snapshot; recover puts back what
// was lost, once that other content is gone.
func TestAnotherStoreAtTheStart(t *testing.T) {
	o := newOutage(t)
	o.snapped()
	st := o.open()
	o.mode(st, poolkeeper.ModeOnline)
	o.srv.Kill()
	o.until("a write is queued", func() bool { return o.status(st.Usage(t.Context(), one, 1)) == poolkeeper.Queued })
	o.mode(st, poolkeeper.ModeFallback)
	o.status(st.Usage(t.Context(), one, 10))
	p, err := st.Provider(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	want := p.Count(poolkeeper.UsageCount)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	o.srv.Restart() // without what it had
	o.srv.FlushAll()
	other := poolkeeper.NewSnapshot()
	other.AddPool(&poolkeeper.Pool{Type: "other", Providers: []poolkeeper.Provider{{Ref: poolkeeper.Ref{Type: "other", ID: "x"}, Definition: []byte(`{"uuid":"x"}`)}}})
	if err := o.direct().Restore(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also the one after the first, which has written its snapshot by then
		st = o.open()
		o.mode(st, poolkeeper.ModeLost)
		if p, err := st.Provider(t.Context(), one); err != nil || p.Count(poolkeeper.UsageCount) != want {
			t.Errorf("it shows %+v, %v; want %d", p, err, want)
		}
		if types, err := st.Types(t.Context()); err != nil || len(types) != 1 {
			t.Errorf("the types are %v, %v", types, err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	o.srv.FlushAll()
	st = o.open()
	o.mode(st, poolkeeper.ModeLost)
	done, err := st.Backend().(poolkeeper.Recoverer).Recover(t.Context(), false)
	if err != nil || done.Providers != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	o.mode(st, poolkeeper.ModeOnline)
	o.until("all of it", func() bool {
		p, err := o.direct().Provider(t.Context(), one)
		return err == nil && p.Count(poolkeeper.UsageCount) == want
	})
}
