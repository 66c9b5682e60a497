package storetest

import (
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

var providerCases = []testCase{
	{"add appends and makes the pool", func(t *testing.T, h Harness) {
		f := start(t, h)
		res := f.do(add(ref("t", "b"), `"n":1`))
		if res.ID != "b" || !res.Changed || res.Revision.IsZero() {
			t.Errorf("result %+v", res)
		}
		f.do(add(ref("t", "a"), ""), add(ref("s", "a"), ""))
		f.wantIDs("t", "b", "a")
		f.wantIDs("s", "a")
		if got := f.load().Types; len(got) != 2 || got[0] != "t" {
			t.Errorf("types %q, want t and s", got)
		}
	}},
	{"add of what is there is ErrExists and changes nothing", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), `"n":1`), usage(ref("t", "a"), 3))
		before := f.load()
		f.refuse(add(ref("t", "a"), `"n":2`), poolkeeper.ErrExists)
		f.refuse(add(ref("t", "a"), `"n":1`), poolkeeper.ErrExists)
		f.same(before, "after a refused add")
	}},
	{"what was deleted and added again begins anew", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, ""), usage(a, 3), on(poolkeeper.OpError, a), remove(a), add(a, `"usageCount":10`))
		p := f.provider(a)
		if p.Count(poolkeeper.UsageCount) != 10 || p.Literal(poolkeeper.ErrorCount) != "" || p.State.DecidedAt != 0 {
			t.Errorf("usageCount %d, errorCount %q, decided at %d", p.Count(poolkeeper.UsageCount), p.Literal(poolkeeper.ErrorCount), p.State.DecidedAt)
		}
		if res := f.do(usage(a, 1)); res.Count != 11 {
			t.Errorf("count %d, want 11", res.Count)
		}
	}},
	{"delete takes one provider and leaves the rest in order", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""), add(ref("t", "b"), ""), add(ref("t", "c"), ""), putValue(poolkeeper.TokenKey(ref("t", "b")), "{}"))
		if res := f.do(remove(ref("t", "b"))); res.ID != "b" || !res.Changed {
			t.Errorf("result %+v", res)
		}
		f.wantIDs("t", "a", "c")
		f.wantData(poolkeeper.TokenKey(ref("t", "b")), "{}") // a token is not the provider's
		f.refuse(remove(ref("t", "b")), poolkeeper.ErrNotFound)
		f.do(add(ref("t", "b"), ""))
		f.wantIDs("t", "a", "c", "b")
	}},
	{"deleting the last provider leaves an empty pool", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""), remove(ref("t", "a")))
		f.wantIDs("t")
		if got := f.load().Types; len(got) != 1 || got[0] != "t" {
			t.Errorf("types %q, want t", got)
		}
	}},
	{"patch changes what it names", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		for _, c := range []struct{ name, members, patch, want string }{
			{"a member is replaced", `"x":1.0,"y":2`, `{"x":"1"}`, `"x":"1","y":2`},
			{"a member is added", `"x":1.0`, `{"y":[]}`, `"x":1.0,"y":[]`},
			{"null deletes", `"x":1.0,"y":2`, `{"x":null}`, `"y":2`},
			{"objects are merged", `"o":{"p":1.0,"q":{}}`, `{"o":{"q":{"r":[]}}}`, `"o":{"p":1.0,"q":{"r":[]}}`},
			{"nothing changes", `"x":1.0`, `{}`, `"x":1.0`},
			{"the uuid as it is", `"x":1.0`, `{"uuid":"a","x":2}`, `"x":2`},
		} {
			f.do(put(a, c.members))
			res := f.do(merge(a, c.patch))
			if res.ID != "a" || res.Changed != (c.members != c.want) {
				t.Errorf("%s: result %+v", c.name, res)
			}
			if got, want := string(f.provider(a).Definition), string(define("a", c.want)); got != want {
				t.Errorf("%s: %s, want %s", c.name, got, want)
			}
		}
		f.do(put(a, `"l":[1,2],"x":null`), jsonPatch(merge(a, ""), `[{"op":"test","path":"/l/0","value":1},{"op":"add","path":"/l/-","value":3.0},{"op":"replace","path":"/x","value":null},{"op":"remove","path":"/l/0"}]`))
		if got, want := string(f.provider(a).Definition), string(define("a", `"l":[2,3.0],"x":null`)); got != want {
			t.Errorf("JSON Patch: %s, want %s", got, want)
		}
	}},
	{"patch leaves the runtime state", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, worn), usage(a, 1))
		before := f.provider(a)
		f.do(merge(a, `{"x":1}`))
		after := f.provider(a)
		for _, field := range poolkeeper.Fields() {
			if v, w := before.Literal(field), after.Literal(field); v != w {
				t.Errorf("%s was %q, is %q", field, v, w)
			}
		}
	}},
	{"patch of a runtime field or the uuid is refused", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"usageCount":1,"x":{"y":2}`), usage(a, 1))
		before := f.load()
		for _, patch := range []string{`{"usageCount":5}`, `{"usageCount":null}`, `{"isHealthy":true}`, `{"uuid":"b"}`, `{"uuid":null}`, `{"x":1,"lastUsed":null,"errorCount":0}`} {
			f.refuse(merge(a, patch), poolkeeper.ErrInvalid)
		}
		for _, patch := range []string{`[{"op":"remove","path":"/uuid"}]`, `[{"op":"replace","path":"","value":{"uuid":"a"}}]`, `[{"op":"copy","from":"/x/y","path":"/usageCount"}]`, `[{"op":"move","from":"/uuid","path":"/id"}]`} {
			f.refuse(jsonPatch(merge(a, ""), patch), poolkeeper.ErrInvalid)
		}
		f.same(before, "after refused patches")
	}},
	{"a JSON Patch applies whole or not at all", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"x":1`))
		before := f.load()
		for _, patch := range []string{`[{"op":"replace","path":"/x","value":2},{"op":"test","path":"/x","value":3}]`,
			`[{"op":"replace","path":"/x","value":2},{"op":"remove","path":"/nope"}]`, `[{"op":"jump","path":"/x"}]`} {
			f.refuse(jsonPatch(merge(a, ""), patch), poolkeeper.ErrInvalid)
		}
		f.same(before, "after refused patches")
	}},
}
