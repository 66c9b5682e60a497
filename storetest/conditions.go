package storetest

import (
	"errors"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// wantErr compares the error of the i-th of several ops.
func wantErr(t *testing.T, i int, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("op %d: error %v, want %v", i, got, want)
	}
}

var conditionCases = []testCase{
	{"a value changes only as the condition has it", func(t *testing.T, h Harness) {
		f := start(t, h)
		for _, key := range valueKeys {
			patchable := key.Kind != poolkeeper.KindPassword && key.Kind != poolkeeper.KindFile && key.Kind != poolkeeper.KindSession
			old, other := poolkeeper.If(poolkeeper.ETag([]byte("{}"))), poolkeeper.If(poolkeeper.ETag([]byte("other")))
			for _, cond := range []poolkeeper.If{poolkeeper.IfPresent, old, "nonsense"} {
				f.refuse(given(cond, putValue(key, "no")), poolkeeper.ErrConflict)
				f.refuse(given(cond, removeValue(key)), poolkeeper.ErrConflict)
				if patchable {
					f.refuse(given(cond, mergeValue(key, "{}")), poolkeeper.ErrConflict)
				}
			}
			f.refuse(given(poolkeeper.IfAbsent, removeValue(key)), poolkeeper.ErrNotFound)
			f.do(given(poolkeeper.IfAbsent, putValue(key, "{}")))
			for _, cond := range []poolkeeper.If{poolkeeper.IfAbsent, other, "nonsense"} {
				f.refuse(given(cond, putValue(key, "no")), poolkeeper.ErrConflict)
				f.refuse(given(cond, putValue(key, "{}")), poolkeeper.ErrConflict)
				f.refuse(given(cond, removeValue(key)), poolkeeper.ErrConflict)
				if patchable {
					f.refuse(given(cond, mergeValue(key, `{"a":1}`)), poolkeeper.ErrConflict)
				}
			}
			f.wantData(key, "{}")
			f.do(given(old, putValue(key, "{ }")))
			f.refuse(given(old, putValue(key, "no")), poolkeeper.ErrConflict)
			f.do(given(poolkeeper.IfPresent, putValue(key, "{}")))
			if patchable {
				f.do(given(old, mergeValue(key, `{"a":1}`)))
				f.wantData(key, `{"a":1}`)
				f.do(given(poolkeeper.IfPresent, putValue(key, "{}")))
			}
			f.do(given(old, removeValue(key)))
		}
	}},
	{"a definition changes only as the condition has it", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		ops := func(cond poolkeeper.If) []poolkeeper.Op {
			return []poolkeeper.Op{given(cond, put(a, `"n":2`)), given(cond, merge(a, `{"n":2}`)), given(cond, rename(a, "b")), given(cond, remove(a))}
		}
		tag := poolkeeper.If(poolkeeper.ETag(define("a", `"n":1`)))
		for _, cond := range []poolkeeper.If{poolkeeper.IfPresent, tag} {
			for _, op := range ops(cond) {
				f.refuse(op, poolkeeper.ErrConflict)
			}
		}
		if len(f.load().Types) != 0 {
			t.Error("a refused put made the pool")
		}
		f.do(given(poolkeeper.IfAbsent, put(a, `"n":1`)), usage(a, 1), on(poolkeeper.OpError, a))
		before := f.load()
		for _, cond := range []poolkeeper.If{poolkeeper.IfAbsent, "nonsense", poolkeeper.If(poolkeeper.ETag(define("a", "")))} {
			for _, op := range ops(cond) {
				f.refuse(op, poolkeeper.ErrConflict)
			}
		}
		f.same(before, "after ops whose condition does not hold")
		f.do(given(tag, merge(a, `{"n":2}`))) // runtime state is no part of the tag
		f.refuse(given(tag, merge(a, `{"n":3}`)), poolkeeper.ErrConflict)
		f.do(given(poolkeeper.IfPresent, put(a, `"n":1`)), given(tag, rename(a, "b")), given(poolkeeper.IfPresent, remove(a)))
	}},
	{"a condition under an old id is on the provider that it leads to", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, ""))
		old := poolkeeper.If(f.provider(a).ETag())
		f.do(rename(a, "b"))
		f.refuse(given(old, merge(a, `{"n":1}`)), poolkeeper.ErrConflict)
		f.do(given(poolkeeper.If(f.provider(a).ETag()), merge(a, `{"n":1}`)))
	}},
	{"a pool changes only as the condition has it", func(t *testing.T, h Harness) {
		f := start(t, h)
		for _, cond := range []poolkeeper.If{poolkeeper.IfPresent, "1-0123456789abcdef-1"} {
			f.refuse(given(cond, replace("t")), poolkeeper.ErrConflict)
			f.refuse(given(cond, reorder("t")), poolkeeper.ErrConflict)
			f.refuse(given(cond, removePool("t")), poolkeeper.ErrConflict)
		}
		f.do(given(poolkeeper.IfAbsent, replace("t", record("a", ""), record("b", ""))))
		structure := func() poolkeeper.If { return poolkeeper.If(f.pool("t").Structure.String()) }
		seen := structure()
		f.refuse(given(poolkeeper.IfAbsent, replace("t")), poolkeeper.ErrConflict)
		f.do(usage(ref("t", "a"), 1), on(poolkeeper.OpError, ref("t", "b"))) // traffic is no change of the structure
		if got := structure(); got != seen {
			t.Errorf("traffic moved the structure revision from %s to %s", seen, got)
		}
		f.do(given(seen, reorder("t", "b", "a")))
		before := f.load()
		f.refuse(given(seen, replace("t")), poolkeeper.ErrConflict)
		f.refuse(given(seen, reorder("t", "a", "b")), poolkeeper.ErrConflict)
		f.refuse(given(seen, removePool("t")), poolkeeper.ErrConflict)
		f.same(before, "after ops whose condition does not hold")
		seen = structure()
		f.do(merge(ref("t", "a"), `{"n":1}`))
		f.refuse(given(seen, replace("t")), poolkeeper.ErrConflict)
		f.do(given(structure(), replace("t", record("c", ""))), given(poolkeeper.IfPresent, reorder("t", "c")))
		seen = structure()
		f.do(given(seen, removePool("t")))
		f.refuse(given(seen, replace("t")), poolkeeper.ErrConflict)
	}},
	{"of many that write on the same base, one wins", func(t *testing.T, h Harness) {
		f := start(t, h)
		key, a := poolkeeper.DocumentKey("x"), ref("t", "a")
		f.do(putValue(key, "0"), add(a, `"n":0`))
		etag, defTag := poolkeeper.If(poolkeeper.ETag([]byte("0"))), poolkeeper.If(f.provider(a).ETag())
		structure := poolkeeper.If(f.pool("t").Structure.String())
		for name, op := range map[string]poolkeeper.Op{
			"a document": given(etag, putValue(key, "1")), "a new document": given(poolkeeper.IfAbsent, putValue(poolkeeper.DocumentKey("new"), "1")),
			"a definition": given(defTag, put(a, `"n":1`)), "a token path": given(poolkeeper.IfAbsent, putValue(poolkeeper.TokenRefKey("p"), `["t","a"]`)),
		} {
			if won := f.race(op); won != 1 {
				t.Errorf("%s: %d writers won", name, won)
			}
		}
		f.do(merge(a, `{"n":2}`))
		f.refuse(given(structure, replace("t")), poolkeeper.ErrConflict)
		structure = poolkeeper.If(f.pool("t").Structure.String())
		if won := f.race(given(structure, replace("t", record("a", `"n":3`)))); won != 1 {
			t.Errorf("a pool: %d writers won", won)
		}
	}},
}
