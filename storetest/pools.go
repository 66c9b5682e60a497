package storetest

import (
	"slices"
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// many makes n records whose definitions name the generation that they are of.
func many(n, generation int) []poolkeeper.ProviderRecord {
	records := make([]poolkeeper.ProviderRecord, n)
	for i := range records {
		records[i] = record("p"+strconv.Itoa(i), `"generation":`+strconv.Itoa(generation))
	}
	return records
}

var poolCases = []testCase{
	{"replace makes the pool exactly what is given, at any size", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("s", "a"), ""))
		for generation, n := range []int{0, 1, 50, 3000, 2999, 1, 3000, 0} {
			records := many(n, generation)
			slices.Reverse(records)
			f.do(replace("t", records...))
			p := f.pool("t")
			if len(p.Providers) != n {
				t.Fatalf("%d providers after a replacement by %d", len(p.Providers), n)
			}
			for i := range p.Providers {
				if p.Providers[i].ID != records[i].ID || string(p.Providers[i].Definition) != string(records[i].Definition) {
					t.Fatalf("provider %d of %d is %s %s, want %s %s", i, n, p.Providers[i].ID, p.Providers[i].Definition, records[i].ID, records[i].Definition)
				}
			}
		}
		f.wantIDs("s", "a")
	}},
	{"replace of an unknown type puts it after the others", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(replace("b", record("x", "")))
		f.do(replace("a"))
		f.do(replace("b"))
		if got := f.load().Types; !slices.Equal(got, []string{"b", "a"}) {
			t.Errorf("types %q, want b and a", got)
		}
	}},
	{"a provider that stays keeps its runtime state", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(replace("t", record("a", `"usageCount":7,"isHealthy":false`), record("b", `"usageCount":1`), record("c", "")))
		f.do(usage(ref("t", "b"), 4), on(poolkeeper.OpError, ref("t", "b")), usage(ref("t", "c"), 9))
		given := record("c", `"usageCount":100`)
		given.State = new(poolkeeper.State)
		f.do(replace("t", record("b", `"usageCount":50,"errorCount":60`), record("new", `"usageCount":3`), given, record("a", `"isHealthy":true`)))
		f.wantIDs("t", "b", "new", "c", "a")
		for id, want := range map[string]int64{"a": 7, "b": 5, "new": 3, "c": 100} {
			if got := f.provider(ref("t", id)).Count(poolkeeper.UsageCount); got != want {
				t.Errorf("usageCount of %q is %d, want %d", id, got, want)
			}
		}
		if b, a := f.provider(ref("t", "b")), f.provider(ref("t", "a")); b.Count(poolkeeper.ErrorCount) != 1 || a.Healthy() {
			t.Errorf("errorCount of b %s, health of a %s; want both kept", b.Literal(poolkeeper.ErrorCount), a.Literal(poolkeeper.IsHealthy))
		}
	}},
	{"a provider that went and came back begins anew", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(replace("t", record("a", "")), usage(a, 5), on(poolkeeper.OpError, a))
		f.do(replace("t", record("b", "")))
		f.refuse(usage(a, 1), poolkeeper.ErrNotFound)
		f.do(replace("t", record("a", ""), record("b", "")))
		if p := f.provider(a); p.Count(poolkeeper.UsageCount) != 0 || p.Literal(poolkeeper.ErrorCount) != "" || p.State.DecidedAt != 0 {
			t.Errorf("state %+v, want none", p.State)
		}
		f.do(removePool("t"), replace("t", record("b", "")))
		if p := f.provider(ref("t", "b")); !p.State.IsZero() {
			t.Errorf("state %+v after the pool was deleted, want none", p.State)
		}
	}},
	{"replace by what is there already changes nothing", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(replace("t", many(5, 1)...))
		f.do(usage(ref("t", "p1"), 1))
		before := f.load()
		if res := f.do(replace("t", many(5, 1)...)); res.Changed {
			t.Errorf("result %+v", res)
		}
		f.same(before, "after the same replacement")
		if res := f.do(replace("e")); !res.Changed {
			t.Errorf("a new empty pool: %+v, want a change", res)
		}
		if res := f.do(replace("e")); res.Changed {
			t.Errorf("the same empty pool: %+v, want no change", res)
		}
	}},
	{"reorder takes an exact order and keeps everything else", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(replace("t", record("a", `"n":1`), record("b", `"n":2`), record("c", `"n":3`)), usage(ref("t", "b"), 2))
		before := f.load()
		if res := f.do(reorder("t", "c", "a", "b")); !res.Changed {
			t.Errorf("result %+v", res)
		}
		p := before.Pools["t"].Providers
		before.Pools["t"].Providers = []poolkeeper.Provider{p[2], p[0], p[1]}
		f.same(before, "after the reorder")
		if res := f.do(reorder("t", "c", "a", "b")); res.Changed {
			t.Errorf("the same order again: %+v", res)
		}
		f.do(add(ref("t", "d"), ""))
		f.wantIDs("t", "c", "a", "b", "d")
	}},
	{"an order that is not exact is refused", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(replace("t", record("a", ""), record("b", "")), add(ref("t", "c"), ""), rename(ref("t", "c"), "d"))
		before := f.load()
		for _, order := range [][]string{nil, {"a"}, {"a", "b"}, {"a", "b", "d", "e"}, {"a", "b", "e"}, {"a", "a", "b"}, {"a", "b", "c"}} {
			f.refuse(reorder("t", order...), poolkeeper.ErrInvalid)
		}
		f.refuse(reorder("u", "a"), poolkeeper.ErrNotFound)
		f.refuse(reorder("u"), poolkeeper.ErrNotFound)
		f.same(before, "after refused orders")
	}},
	{"delete removes the pool and the type", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(replace("t", many(3, 1)...), replace("u"), usage(ref("t", "p1"), 1))
		if res := f.do(removePool("t")); !res.Changed {
			t.Errorf("result %+v", res)
		}
		snap := f.load()
		if !slices.Equal(snap.Types, []string{"u"}) || len(snap.Pools) != 1 {
			t.Errorf("types %q, %d pools; want only u", snap.Types, len(snap.Pools))
		}
		f.refuse(usage(ref("t", "p1"), 1), poolkeeper.ErrNotFound)
		f.refuse(removePool("t"), poolkeeper.ErrNotFound)
		f.do(add(ref("t", "p1"), ""))
		if got := f.load(poolkeeper.TypesKey).Types; !slices.Equal(got, []string{"u", "t"}) {
			t.Errorf("types %q, want u and t", got)
		}
	}},
	{"types are put in an exact order", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(replace("a"))
		f.do(replace(""))
		f.do(replace("c", record("x", "")))
		if res := f.do(reorderTypes("c", "a", "")); !res.Changed {
			t.Errorf("result %+v", res)
		}
		if got := f.load().Types; !slices.Equal(got, []string{"c", "a", ""}) {
			t.Errorf("types %q", got)
		}
		if res := f.do(reorderTypes("c", "a", "")); res.Changed {
			t.Errorf("the same order again: %+v", res)
		}
		for _, order := range [][]string{nil, {"c", "a"}, {"c", "a", "", "d"}, {"c", "a", "d"}, {"c", "c", "a", ""}} {
			f.refuse(reorderTypes(order...), poolkeeper.ErrInvalid)
		}
		f.do(add(ref("d", "x"), ""))
		if got := f.load(poolkeeper.TypesKey).Types; !slices.Equal(got, []string{"c", "a", "", "d"}) {
			t.Errorf("types %q", got)
		}
	}},
}
