package replica

import (
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestKeptAsOne: changes of the runtime state that follow each other are kept as
// one, which has what all of them had, whatever part of them was loaded.
func TestKeptAsOne(t *testing.T) {
	rev := func(n uint64) poolkeeper.Revision { return poolkeeper.Revision{Number: n, Writer: "w", Seq: n} }
	state := func(n uint64, id string, f poolkeeper.Field, lit string, whole bool) poolkeeper.Change {
		var s poolkeeper.State
		s.Set(f, lit)
		return poolkeeper.Change{Kind: poolkeeper.ChangeState, Before: rev(n - 1), After: rev(n), States: []poolkeeper.ProviderState{{ID: id, State: s, Whole: whole}}}
	}
	changes := []poolkeeper.Change{
		state(2, "a", poolkeeper.UsageCount, "5", false),
		state(3, "b", poolkeeper.ErrorCount, "1", true),
		state(4, "a", poolkeeper.IsHealthy, "false", false),
		state(5, "b", poolkeeper.UsageCount, "9", false),
		state(6, "a", poolkeeper.UsageCount, "6", false),
	}
	pool := func(upTo int) *poolkeeper.PoolView {
		p := &poolkeeper.Pool{Type: "t", Revision: rev(1)}
		for _, id := range []string{"a", "b"} {
			one := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "t", ID: id}, Definition: []byte(`{}`)}
			one.State.Set(poolkeeper.LastUsed, "1")
			p.Providers = append(p.Providers, one)
		}
		v := poolkeeper.NewPoolView(p)
		for _, c := range changes[:upTo] {
			if _, ok := v.Continue(&c); !ok {
				t.Fatalf("%+v does not continue", c)
			}
		}
		return v
	}
	f := &followed{typ: "t"}
	for _, c := range changes {
		f.keep(c)
	}
	if len(f.kept) != 1 {
		t.Fatalf("%d changes are kept", len(f.kept))
	}
	want := pool(len(changes))
	for loaded := range changes {
		got := pool(loaded)
		c := f.kept[0].change(got.Revision())
		if _, ok := got.Continue(&c); !ok {
			t.Fatalf("%+v does not continue a pool at %s", c, got.Revision())
		}
		for i := range want.Len() {
			if got.At(i).State() != want.At(i).State() || got.Revision() != want.Revision() {
				t.Errorf("loaded at %d, %s has %+v, want %+v", loaded+1, want.At(i).ID(), got.At(i).State(), want.At(i).State())
			}
		}
	}
}
