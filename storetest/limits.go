package storetest

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// Limits holds a backend to the limits at their very edge: what is as large as it
// may be is kept to the byte, also by another handle; one byte more is
// [poolkeeper.ErrTooLarge] on every way in, and changes nothing. It is apart from
// [Run], as it moves a few hundred megabytes: under the race detector only what is
// small is run, and `make test-plain` runs all of it without.
func Limits(t *testing.T, h Harness) {
	cases := limitCases
	if !raceDetector {
		cases = append(slices.Clone(cases), largeCases...)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}

// sized is a text of n bytes that begins and ends as given.
func sized(n int, begin, end string) string {
	return begin + strings.Repeat("x", n-len(begin)-len(end)) + end
}

// tooLarge applies ops that must be refused, each alone, and holds the state of
// some keys to what it was.
func (f *fixture) tooLarge(keys []poolkeeper.Key, ops map[string]poolkeeper.Op) {
	f.Helper()
	before := f.load(keys...)
	for _, name := range slices.Sorted(maps.Keys(ops)) {
		wantRefusal(f.T, name, f.apply(ops[name]), poolkeeper.ErrTooLarge)
	}
	if d := Diff(before, f.load(keys...)); d != "" {
		f.Errorf("what is too large changed something:\n%s", d)
	}
}

// reopen continues on another handle, where data outlive one.
func (f *fixture) reopen() {
	f.Helper()
	if f.h.Reopen == nil {
		return
	}
	if !f.h.Shared {
		if err := f.b.Close(); err != nil {
			f.Fatal(err)
		}
	}
	b := f.h.Reopen(f.T, f.b)
	f.Cleanup(func() { b.Close() })
	f.b = b
}

var limitCases = []testCase{
	{"types and ids", func(t *testing.T, h Harness) {
		f := start(t, h)
		// Of one byte each, and of as many as UTF-8 has.
		for i, fill := range []string{"n", "é", "𝄞"} {
			r := ref(strings.Repeat(fill, poolkeeper.MaxType/len(fill)), strings.Repeat(fill, poolkeeper.MaxID/len(fill)))
			f.do(add(r, ""), usage(r, 1), on(poolkeeper.OpError, r), putValue(poolkeeper.TokenKey(r), `{"t":1}`), add(ref(r.Type, "other"), ""))
			f.do(rename(ref(r.Type, "other"), r.ID[len(fill):]+strings.Repeat("y", len(fill))))
			long, wide := ref(r.Type, r.ID+"x"), ref(r.Type+"x", "a")
			f.tooLarge(nil, map[string]poolkeeper.Op{
				"added under a long id": add(long, ""), "added to a long type": add(wide, ""), "put": put(long, ""), "counted": usage(long, 1),
				"renamed": rename(r, long.ID), "replaced": replace(r.Type, record(long.ID, "")), "a long type": replace(wide.Type, record("a", "")),
				"a token": putValue(poolkeeper.TokenKey(long), "{}"), "a token of a long type": putValue(poolkeeper.TokenKey(wide), "{}"),
			})
			f.reopen()
			if got := f.provider(r); got.Count(poolkeeper.UsageCount) != 1 || got.Count(poolkeeper.ErrorCount) != 1 {
				t.Errorf("fill %d: %d uses, %d errors", i, got.Count(poolkeeper.UsageCount), got.Count(poolkeeper.ErrorCount))
			}
			f.wantData(poolkeeper.TokenKey(r), `{"t":1}`)
		}
	}},
	{"definitions", func(t *testing.T, h Harness) {
		f := start(t, h)
		const limit = poolkeeper.MaxDefinition
		whole := func(id string, n int) []byte { return []byte(sized(n, `{"uuid":"`+id+`","y":"","x":"`, `"}`)) }
		op := func(kind poolkeeper.OpKind, id string, n int) poolkeeper.Op {
			o := on(kind, ref("t", id))
			o.Data = whole(id, n)
			return o
		}
		f.do(op(poolkeeper.OpAddProvider, "a", limit), op(poolkeeper.OpPutProvider, "b", limit), op(poolkeeper.OpAddProvider, "c", limit-3), add(ref("t", "d"), ""))
		f.do(merge(ref("t", "c"), `{"y":"abc"}`))
		// Runtime state is no part of the definition: at the limit there is room for it.
		f.do(usage(ref("t", "a"), 7), on(poolkeeper.OpError, ref("t", "a")))
		two := []poolkeeper.ProviderRecord{{ID: "a", Definition: whole("a", limit)}, {ID: "b", Definition: whole("b", limit)}}
		f.do(poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey("u"), Providers: two, At: base})
		three := append(slices.Clone(two), poolkeeper.ProviderRecord{ID: "c", Definition: whole("c", limit+1)})
		f.tooLarge(nil, map[string]poolkeeper.Op{
			"added": op(poolkeeper.OpAddProvider, "e", limit+1), "put": op(poolkeeper.OpPutProvider, "d", limit+1),
			"grown by a merge patch": merge(ref("t", "a"), `{"y":"1"}`), "grown by a JSON Patch": jsonPatch(merge(ref("t", "b"), ""), `[{"op":"replace","path":"/y","value":"1"}]`),
			"replaced": {Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey("u"), Providers: three, At: base},
		})
		f.reopen()
		for id, want := range map[string][]byte{"a": whole("a", limit), "b": whole("b", limit), "c": []byte(sized(limit, `{"uuid":"c","y":"abc","x":"`, `"}`))} {
			if got := f.provider(ref("t", id)).Definition; !bytes.Equal(got, want) {
				t.Errorf("%s has %d bytes, which are not those that were given", id, len(got))
			}
		}
		if got := f.provider(ref("t", "a")); got.Count(poolkeeper.UsageCount) != 7 {
			t.Errorf("usageCount %d, want 7", got.Count(poolkeeper.UsageCount))
		}
	}},
}

var largeCases = []testCase{
	{"documents", func(t *testing.T, h Harness) {
		f := start(t, h)
		const limit = poolkeeper.MaxDocument
		document := func(n int) string { return sized(n, `{"y":"","x":"`, `"}`) }
		f.do(add(ref("t", "a"), ""))
		grown := poolkeeper.DocumentKey("plugins.json")
		f.do(putValue(grown, document(limit-3)), mergeValue(grown, `{"y":"abc"}`))
		f.tooLarge([]poolkeeper.Key{grown}, map[string]poolkeeper.Op{
			"grown by a merge patch": mergeValue(grown, `{"y":"abcd"}`), "grown by a JSON Patch": jsonPatch(mergeValue(grown, ""), `[{"op":"add","path":"/z","value":1}]`),
		})
		others := []poolkeeper.Key{poolkeeper.ConfigKey, poolkeeper.TokenKey(ref("t", "a"))}
		for _, key := range others {
			f.do(putValue(key, document(limit)))
			f.tooLarge([]poolkeeper.Key{key}, map[string]poolkeeper.Op{"put": putValue(key, document(limit+1))})
		}
		f.reopen()
		f.wantData(grown, sized(limit, `{"y":"abc","x":"`, `"}`))
		for _, key := range others {
			f.wantData(key, document(limit))
		}
	}},
	{"carried files", func(t *testing.T, h Harness) {
		f := start(t, h)
		key := poolkeeper.FileKey("configs/large.bin")
		data := make([]byte, poolkeeper.MaxFile+1)
		for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(data)-8; i += 8 { // bytes of every kind
			v := r.Uint64()
			for j := range 8 {
				data[i+j] = byte(v >> (8 * j))
			}
		}
		file := func(n int) poolkeeper.Op {
			return poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: data[:n], At: base}
		}
		f.do(file(poolkeeper.MaxFile))
		f.tooLarge([]poolkeeper.Key{key}, map[string]poolkeeper.Op{"put": file(poolkeeper.MaxFile + 1)})
		f.reopen()
		if got := f.load(key).Values[key].Data; !bytes.Equal(got, data[:poolkeeper.MaxFile]) {
			t.Errorf("it has %d bytes, which are not those that were given", len(got))
		}
	}},
}
