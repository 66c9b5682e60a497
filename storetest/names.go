package storetest

import (
	"slices"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// oddTypes and oddIDs need care wherever a name becomes a part of something:
// a key, a pattern, a field, a path, a line.
var (
	oddTypes = []string{"a{b}c", "}", "{}", "", "openai-custom-team:blue.1 (测试)", "%7B", "123", "claude-kiro-oauth"}
	oddIDs   = []string{
		"0f5f1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b", "0F5F1A2B-3C4D-4E5F-8A9B-0C1D2E3F4A5B",
		"node:1.a b/ü*[?]{x}", ":", "a:b:", " ", "*", "[?]", "{", "}", "{}:usageCount", "%", "%7B", "%%",
		"line\nbreak", "cr\r\n", "tab\there", "a,b;c", "\"\\", "usageCount", "a:usageCount", "~0123456789abcdef", "~0123456789abcdef.2",
		"..", "0", "-1", "absent", "\u2028", "e\u0301", "é", ">", "!", "?",
	}
)

var nameCases = []testCase{
	{"every op works on every type and id", func(t *testing.T, h Harness) {
		f := start(t, h)
		for _, typ := range oddTypes {
			var ops []poolkeeper.Op
			for _, id := range oddIDs {
				ops = append(ops, add(ref(typ, id), `"usageCount":1`))
			}
			f.do(ops...)
			f.wantIDs(typ, oddIDs...)
			for i, id := range oddIDs {
				everyOp(f, ref(typ, id), "renamed:{"+string(rune('a'+i))+"}")
			}
			f.wantIDs(typ)
			if got := f.load(poolkeeper.TypesKey).Types; !slices.Contains(got, typ) {
				t.Errorf("the pool %q went with its last provider; types %q", typ, got)
			}
		}
		if got := f.load(poolkeeper.TypesKey).Types; !slices.Equal(got, oddTypes) {
			t.Errorf("types %q, want %q", got, oddTypes)
		}
	}},
	{"names that look alike are different providers", func(t *testing.T, h Harness) {
		f := start(t, h)
		n := int64(0)
		for _, typ := range oddTypes {
			for _, id := range oddIDs {
				n++
				f.do(add(ref(typ, id), ""), usage(ref(typ, id), n))
			}
		}
		all := f.load()
		n = 0
		for _, typ := range oddTypes {
			for _, id := range oddIDs {
				n++
				p := all.Provider(ref(typ, id))
				if p == nil {
					t.Errorf("%s is not there", ref(typ, id))
				} else if got := p.Count(poolkeeper.UsageCount); got != n {
					t.Errorf("%s has usageCount %d, want %d", p.Ref, got, n)
				}
			}
		}
	}},
	{"names of the greatest length are fine", func(t *testing.T, h Harness) {
		f := start(t, h)
		long := func(n int) string { return string(slices.Repeat([]byte("{"), n)) }
		r := ref(long(poolkeeper.MaxType), long(poolkeeper.MaxID))
		f.do(add(r, ""), usage(r, 1), putValue(poolkeeper.TokenKey(r), "{}"), putValue(poolkeeper.DocumentKey(long(poolkeeper.MaxName)), "{}"),
			putValue(poolkeeper.FileKey(long(poolkeeper.MaxPath)), "x"), putValue(poolkeeper.TokenRefKey(long(poolkeeper.MaxPath)), string(poolkeeper.EncodeTokenOwner(r))))
		snap := f.load()
		if snap.Provider(r) == nil || len(snap.Values) != 4 {
			t.Errorf("%d of 4 values, or no provider", len(snap.Values))
		}
	}},
	{"every name of a value is kept as it is", func(t *testing.T, h Harness) {
		f := start(t, h)
		want := poolkeeper.NewSnapshot()
		for _, name := range []string{"plugins", "usage:cache", "{x}", "}", "%7B", " ", "*", "名前", "a/b", "..", "doc:x", "é", "e\u0301"} {
			for _, key := range []poolkeeper.Key{poolkeeper.DocumentKey(name), poolkeeper.TokenKey(ref(name, name)), poolkeeper.TokenRefKey(name)} {
				if key.Validate() != nil { // no file of an export has such a name
					continue
				}
				data := key.String()
				if key.Kind == poolkeeper.KindTokenRefs {
					data = string(poolkeeper.EncodeTokenOwner(ref(name, name)))
				}
				f.do(putValue(key, data))
				want.Values[key] = poolkeeper.Document{Data: []byte(data)}
			}
		}
		for _, path := range []string{"configs/a b", "x/{y}/*", "%2e", "-", "line\nbreak", "configs/.DS_Store"} {
			f.do(putValue(poolkeeper.FileKey(path), path))
			want.Values[poolkeeper.FileKey(path)] = poolkeeper.Document{Data: []byte(path)}
		}
		f.same(want, "after values with odd names")
	}},
}

// everyOp does one op of each kind to a provider, which it renames and deletes
// in the end, and to its token.
func everyOp(f *fixture, r poolkeeper.Ref, newID string) {
	f.Helper()
	success, health, refresh := on(poolkeeper.OpSuccess, r), on(poolkeeper.OpHealth, r), on(poolkeeper.OpRefresh, r)
	success.N, refresh.Phase = 1, poolkeeper.RefreshStarted
	f.do(usage(r, 1), on(poolkeeper.OpError, r), success, health, refresh, on(poolkeeper.OpReset, r), merge(r, `{"n":1}`))
	token := poolkeeper.TokenKey(r)
	f.do(putValue(token, `{"t":1}`), mergeValue(token, `{"u":2}`))
	f.wantData(token, `{"t":1,"u":2}`)
	p := f.provider(r)
	if got := p.Count(poolkeeper.UsageCount); got != 3 || p.Ref != r || string(p.Definition) != string(define(r.ID, `"usageCount":1,"n":1`)) {
		f.Errorf("%s: usageCount %d, ref %s, definition %s", r, got, p.Ref, p.Definition)
	}
	f.do(put(r, `"m":1`))
	if got := f.provider(r).Count(poolkeeper.UsageCount); got != 3 {
		f.Errorf("%s: usageCount %d after put, want 3", r, got)
	}
	if res := f.do(rename(r, newID), usage(r, 1)); res.ID != newID || res.Count != 4 {
		f.Errorf("%s: after rename, an op under the old id reached %q with count %d", r, res.ID, res.Count)
	}
	f.do(remove(ref(r.Type, newID)), removeValue(token))
	f.refuse(usage(r, 1), poolkeeper.ErrNotFound)
}
