package poolkeeper_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// TestViewReadsAsPools: a view says of each provider what a Pool that was read
// says, whatever stands in definition and state, and after each change too.
func TestViewReadsAsPools(t *testing.T) {
	literals := []string{"", "0", "7", "3.9", `"12"`, `" 7 "`, "true", "false", "null", `""`, `"x"`, "9223372036854775807", "-1", "1e3"}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func() string { return literals[r.IntN(len(literals))] }
	definition := func(id string) []byte {
		s := fmt.Sprintf(`{"uuid":%q`, id)
		for _, name := range []string{"usageCount", "errorCount", "refreshCount", "isHealthy", "needsRefresh", "isDisabled", "lastUsed", "usageCount"} {
			if lit := pick(); lit != "" && r.IntN(2) == 0 {
				s += fmt.Sprintf(",%q:%s", name, lit)
			}
		}
		return []byte(s + "}")
	}
	state := func() poolkeeper.State {
		var s poolkeeper.State
		for _, f := range poolkeeper.Fields() {
			if r.IntN(2) == 0 {
				s.Set(f, pick())
			}
		}
		s.DecidedAt = r.Int64N(3)
		return s
	}
	const size = 40
	pool := &poolkeeper.Pool{Type: "t"}
	for i := range size {
		id := fmt.Sprint(i)
		pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "t", ID: id}, Definition: definition(id), State: state()})
	}
	view := poolkeeper.NewPoolView(pool)
	for n := range uint64(1000) {
		one := &pool.Providers[r.IntN(size)]
		c := poolkeeper.Change{Kind: poolkeeper.ChangeState, Key: poolkeeper.PoolKey("t"), Before: pool.Revision, After: poolkeeper.Revision{Number: n + 1, Writer: "w", Seq: n + 1}}
		told := poolkeeper.ProviderState{ID: one.ID, State: state(), Whole: r.IntN(3) == 0}
		if c.States = []poolkeeper.ProviderState{told}; r.IntN(4) == 0 {
			c.Kind, c.ID, c.Definition = poolkeeper.ChangePut, one.ID, definition(one.ID)
			one.Definition = c.Definition
		}
		one.State = told.Over(one.State)
		pool.Revision = c.After
		next, ok := view.Continue(&c)
		if !ok {
			t.Fatalf("%+v does not continue the view", c)
		}
		view = next
		for i := range pool.Providers {
			sameView(t, &pool.Providers[i], view.At(i))
		}
		if t.Failed() {
			t.Fatalf("after %+v", c)
		}
	}
}

func sameView(t *testing.T, p *poolkeeper.Provider, v *poolkeeper.ProviderView) {
	t.Helper()
	for _, f := range poolkeeper.Fields() {
		if p.Literal(f) != v.Literal(f) || p.Count(f) != v.Count(f) {
			t.Errorf("%s of %s: %q and %d, in the view %q and %d", f, p.ID, p.Literal(f), p.Count(f), v.Literal(f), v.Count(f))
		}
	}
	if p.Ref != v.Ref() || p.Healthy() != v.Healthy() || p.Disabled() != v.Disabled() || poolkeeper.Truthy(p.Literal(poolkeeper.NeedsRefresh)) != v.NeedsRefresh() {
		t.Errorf("%s: healthy %v, disabled %v; in the view %v, %v", p.Ref, p.Healthy(), p.Disabled(), v.Healthy(), v.Disabled())
	}
	want, _ := p.JSON()
	if got, err := v.JSON(); err != nil || string(got) != string(want) || p.State != v.State() {
		t.Errorf("%s is %s, in the view %s", p.Ref, want, got)
	}
}

// TestViewChanges: whatever is added, deleted, renamed and put, a view finds each
// provider at its place and by its id, and the views before it stay as they were.
func TestViewChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	view := poolkeeper.NewPoolView(&poolkeeper.Pool{Type: "t"})
	var ids []string
	apply := func(c poolkeeper.Change) {
		t.Helper()
		c.Before = view.Revision()
		c.After = poolkeeper.Revision{Number: c.Before.Number + 1, Writer: "w", Seq: 1}
		was, n := view, view.Len()
		before := make([]*poolkeeper.ProviderView, n)
		for i := range before {
			before[i] = was.At(i)
		}
		next, ok := view.Continue(&c)
		if !ok {
			t.Fatalf("%+v does not continue the view", c)
		}
		if view = next; was.Len() != n || was.Revision() != c.Before || view.Structure() != c.After {
			t.Fatalf("%+v changed the view before it, or not this one", c)
		}
		for i := range before {
			if was.At(i) != before[i] || was.Provider(before[i].ID()) != before[i] {
				t.Fatalf("%+v changed the view before it", c)
			}
		}
	}
	define := func(id string) []byte { return fmt.Appendf(nil, `{"uuid":%q}`, id) }
	for n := range 3000 {
		fresh := fmt.Sprint("p", n)
		switch i := r.IntN(len(ids) + 1); {
		case i == len(ids) || n < 200:
			apply(poolkeeper.Change{Kind: poolkeeper.ChangePut, ID: fresh, Definition: define(fresh)})
			ids = append(ids, fresh)
		case n%3 == 0:
			apply(poolkeeper.Change{Kind: poolkeeper.ChangeDelete, ID: ids[i]})
			ids = append(ids[:i:i], ids[i+1:]...)
		case n%3 == 1:
			apply(poolkeeper.Change{Kind: poolkeeper.ChangeRename, ID: ids[i], NewID: fresh, Definition: define(fresh)})
			ids[i] = fresh
		default:
			apply(poolkeeper.Change{Kind: poolkeeper.ChangePut, ID: ids[i], Definition: define(ids[i])})
		}
		if view.Len() != len(ids) {
			t.Fatalf("%d providers, want %d", view.Len(), len(ids))
		}
		for i, id := range ids {
			if view.At(i).ID() != id || view.Provider(id) != view.At(i) {
				t.Fatalf("at %d is %s, want %s; by its id %v", i, view.At(i).ID(), id, view.Provider(id))
			}
		}
	}
	for _, c := range []poolkeeper.Change{
		{Kind: poolkeeper.ChangePut, ID: "a", Definition: define("a")}, // of another revision
		{Kind: poolkeeper.ChangePut, ID: "a", Before: view.Revision()}, // without a definition
		{Kind: poolkeeper.ChangeDelete, ID: "none", Before: view.Revision()},
		{Kind: poolkeeper.ChangeRename, ID: "none", NewID: "b", Definition: define("b"), Before: view.Revision()},
		{Kind: poolkeeper.ChangeRename, ID: ids[0], NewID: ids[1], Definition: define(ids[1]), Before: view.Revision()},
		{Kind: poolkeeper.ChangeState, States: []poolkeeper.ProviderState{{ID: ids[0]}, {ID: "none"}}, Before: view.Revision()},
		{Kind: poolkeeper.ChangePool, Before: view.Revision()},
	} {
		before := view.Revision()
		if _, ok := view.Continue(&c); ok || view.Revision() != before {
			t.Errorf("%+v was taken", c)
		}
	}
}

// TestViewOfAnyStore: a store that keeps no copy is read for a view.
func TestViewOfAnyStore(t *testing.T) {
	st := poolkeeper.New(memstore.New(nil), nil)
	defer st.Close()
	if err := st.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := st.AddProvider(t.Context(), "t", []byte(`{"uuid":"a","usageCount":3}`)); err != nil {
		t.Fatal(err)
	}
	v, err := st.View(t.Context())
	if err != nil || len(v.Types()) != 1 || v.Pool("t").Len() != 1 || v.Pool("u") != nil {
		t.Fatalf("view %+v, %v", v, err)
	}
	if p := v.Provider(poolkeeper.Ref{Type: "t", ID: "a"}); p == nil || p.Count(poolkeeper.UsageCount) != 3 {
		t.Errorf("provider %+v", p)
	}
	if v.Provider(poolkeeper.Ref{Type: "u", ID: "a"}) != nil || v.Provider(poolkeeper.Ref{Type: "t", ID: "b"}) != nil {
		t.Error("there is what there is not")
	}
}
