package storetest

import (
	"errors"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// leads fails where an id does not lead to a provider, for reads and for ops.
func (f *fixture) leads(typ, id, want string) {
	f.Helper()
	snap := f.load(poolkeeper.ProviderKey(ref(typ, id)))
	p := snap.Provider(ref(typ, id))
	switch alias, ok := snap.Aliases[ref(typ, id)]; {
	case p == nil:
		f.Errorf("%q leads nowhere, want %q", id, want)
		return
	case p.ID != want:
		f.Errorf("%q leads to %q, want %q", id, p.ID, want)
	case ok != (id != want) || ok && alias != want:
		f.Errorf("the alias of %q is %q (%v), want %q", id, alias, ok, want)
	}
	if res := f.do(usage(ref(typ, id), 1)); res.ID != want {
		f.Errorf("an op on %q reached %q, want %q", id, res.ID, want)
	}
}

var renameCases = []testCase{
	{"rename changes the id and the uuid and nothing else", func(t *testing.T, h Harness) {
		f := start(t, h)
		op := add(ref("t", "old"), "")
		op.Data = []byte("{ \"n\" : 1.0,\n\"uuid\" : \"old\" , \"usageCount\":7, \"l\":[]}")
		f.do(add(ref("t", "a"), ""), op, add(ref("t", "z"), ""), usage(ref("t", "old"), 1), on(poolkeeper.OpError, ref("t", "old")))
		before := f.load()
		if res := f.do(rename(ref("t", "old"), "new")); res.ID != "new" || !res.Changed {
			t.Errorf("result %+v", res)
		}
		f.wantIDs("t", "a", "new", "z")
		was := before.Pools["t"].Provider("old")
		was.ID, was.Definition = "new", []byte("{ \"n\" : 1.0,\n\"uuid\" : \"new\" , \"usageCount\":7, \"l\":[]}")
		f.same(before, "after the rename")
	}},
	{"ops and reads under the old id reach the provider", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "old"), ""), rename(ref("t", "old"), "new"))
		f.leads("t", "old", "new")
		f.leads("t", "new", "new")
		if res := f.do(merge(ref("t", "old"), `{"n":1}`)); res.ID != "new" {
			t.Errorf("a patch under the old id reached %q", res.ID)
		}
		if res := f.do(remove(ref("t", "old"))); res.ID != "new" {
			t.Errorf("a delete under the old id reached %q", res.ID)
		}
		f.wantIDs("t")
		f.refuse(usage(ref("t", "old"), 1), poolkeeper.ErrNotFound)
	}},
	{"renames make a chain that is followed", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""), rename(ref("t", "a"), "b"), rename(ref("t", "b"), "c"), rename(ref("t", "a"), "d"))
		for _, id := range []string{"a", "b", "c", "d"} {
			f.leads("t", id, "d")
		}
		f.wantIDs("t", "d")
	}},
	{"renaming back ends the alias", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""), rename(ref("t", "a"), "b"), rename(ref("t", "b"), "a"))
		f.leads("t", "a", "a")
		f.leads("t", "b", "a")
		f.do(rename(ref("t", "b"), "b2"))
		f.leads("t", "a", "b2")
	}},
	{"an id that is taken is ErrExists", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""), add(ref("t", "b"), ""), add(ref("u", "c"), ""))
		before := f.load()
		f.refuse(rename(ref("t", "a"), "b"), poolkeeper.ErrExists)
		f.same(before, "after a refused rename")
		f.do(rename(ref("t", "a"), "c")) // of another type
		f.refuse(rename(ref("t", "a"), "b"), poolkeeper.ErrExists)
		f.wantIDs("t", "c", "b")
	}},
	{"the same rename again succeeds and changes nothing", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""))
		tag := poolkeeper.If(f.provider(ref("t", "a")).ETag())
		f.do(given(tag, rename(ref("t", "a"), "b")))
		before := f.load()
		for _, cond := range []poolkeeper.If{poolkeeper.Always, tag} {
			if res := f.do(given(cond, rename(ref("t", "a"), "b"))); res.Changed || res.ID != "b" {
				t.Errorf("if %q: result %+v, want b and nothing changed", cond, res)
			}
		}
		f.same(before, "after the same rename")
	}},
	{"rename of what is not there is ErrNotFound", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.refuse(rename(ref("t", "a"), "b"), poolkeeper.ErrNotFound)
		f.do(add(ref("t", "a"), ""))
		f.refuse(rename(ref("t", "b"), "c"), poolkeeper.ErrNotFound)
	}},
	{"a provider that gets an old id ends its alias", func(t *testing.T, h Harness) {
		for name, op := range map[string]poolkeeper.Op{
			"added":    add(ref("t", "a"), ""),
			"put":      put(ref("t", "a"), ""),
			"replaced": replace("t", record("b", ""), record("a", "")),
			"renamed":  rename(ref("t", "x"), "a"),
		} {
			f := start(t, h)
			f.do(add(ref("t", "a"), ""), add(ref("t", "x"), ""), rename(ref("t", "a"), "b"), op)
			f.leads("t", "a", "a")
			f.leads("t", "b", "b")
			f.do(remove(ref("t", "a")))
			if r := f.apply(usage(ref("t", "a"), 1)); !errors.Is(r.Err, poolkeeper.ErrNotFound) {
				t.Errorf("%s: after it was deleted, its id leads to %q, error %v", name, r.ID, r.Err)
			}
		}
	}},
	{"an alias outlives the provider that it leads to", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""), rename(ref("t", "a"), "b"), remove(ref("t", "b")))
		f.refuse(usage(ref("t", "a"), 1), poolkeeper.ErrNotFound)
		if got := f.load(poolkeeper.ProviderKey(ref("t", "a"))); got.Provider(ref("t", "a")) != nil || len(got.Aliases) != 0 {
			t.Errorf("a read of the old id found %v, aliases %v", got.Pools, got.Aliases)
		}
		f.do(add(ref("t", "b"), ""))
		f.leads("t", "a", "b")
		f.do(removePool("t"), add(ref("t", "b"), ""))
		f.leads("t", "a", "b")
	}},
	{"a derived id can be renamed to a uuid", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "~0123456789abcdef"), `"n":1`), rename(ref("t", "~0123456789abcdef"), "a"))
		f.leads("t", "~0123456789abcdef", "a")
		if got, want := string(f.provider(ref("t", "a")).Definition), `{"n":1,"uuid":"a"}`; got != want {
			t.Errorf("definition %s, want %s", got, want)
		}
	}},
	{"the aliases of one type are not those of another", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""), add(ref("u", "b"), ""), rename(ref("t", "a"), "b"))
		f.refuse(usage(ref("u", "a"), 1), poolkeeper.ErrNotFound)
	}},
	{"the uuid is written as JSON, whatever the id", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""))
		last := "a"
		for _, id := range oddIDs {
			if id[0] == '~' || id == last {
				continue
			}
			f.do(rename(ref("t", last), id))
			if got, ok := poolkeeper.UsableUUID(f.provider(ref("t", id)).Definition); !ok || got != id {
				t.Errorf("the uuid of %q reads %q", id, got)
			}
			last = id
		}
		f.leads("t", "a", last)
	}},
}
