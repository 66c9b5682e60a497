package storetest

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A sample is a definition that is easily damaged.
type sample struct {
	name string
	def  func(uuid string) string // uuid is a JSON string
}

var samples = []sample{
	{"only its uuid", func(u string) string { return `{"uuid":` + u + `}` }},
	{"odd white space", func(u string) string { return " \r\n{\r\n\t\"uuid\" :\t" + u + " ,\r\n  \"a\" : 1\r\n}\r\n" }},
	{"numbers that no float can hold", func(u string) string {
		return `{"big":123456789012345678901234567890,"uuid":` + u + `,"one":1.0,"e":1e21,"E":1E-7,"nz":-0,"tiny":5e-324,"huge":1e400,"p":9007199254740993,"f":0.1e+1}`
	}},
	{"empty arrays and objects", func(u string) string {
		return `{"uuid":` + u + `,"a":[],"o":{},"n":null,"s":"","deep":{"x":[],"y":{"z":{}},"l":[[],{}]},"notSupportedModels":[],"supportedModels":{}}`
	}},
	{"escapes", func(u string) string {
		return `{"uuid":` + u + `,"esc":"\u003c\/\u2028\b\f\n\r\t\"\\","raw":"</` + "\u2028\u2029\x7f" + `","nul":"\u0000","A":"\u0041","é":"e\u0301 é"}`
	}},
	{"lone surrogates", func(u string) string {
		return `{"uuid":` + u + `,"high":"\ud800","low":"\udc00x","pair":"\ud83d\ude00","\ud800":1,"wrong":"\ude00\ud83d"}`
	}},
	{"invalid UTF-8", func(u string) string { return "{\"uuid\":" + u + ",\"bad\":\"\xff\xfe\xc3\"}" }},
	{"keys that stand twice", func(u string) string {
		return `{"uuid":"other","a":1,"usageCount":5,"a":2,"uuid":` + u + `,"usageCount":7,"x":{"d":1,"d":2}}`
	}},
	{"keys with escapes", func(u string) string { return `{"\u0075uid":` + u + `,"usage\u0043ount":41,"last\u0055sed":null}` }},
	{"keys that mean something to JavaScript", func(u string) string {
		return `{"__proto__":{"x":1},"":0,"10":1,"9":2,"uuid":` + u + `,"constructor":null,"toString":"x"}`
	}},
	{"deep nesting", func(u string) string {
		return `{"deep":` + strings.Repeat("[", 300) + `"x"` + strings.Repeat("]", 300) + `,"uuid":` + u + `}`
	}},
	{"a long string", func(u string) string {
		return `{"uuid":` + u + `,"long":"` + strings.Repeat("0123456789abcdef", 4096) + `"}`
	}},
	{"runtime fields of the wrong kind", func(u string) string {
		return `{"uuid":` + u + `,"usageCount":" 7 ","errorCount":3.0,"refreshCount":null,"lastUsed":1769000000000,"lastErrorTime":"","isHealthy":1,"needsRefresh":"false","_lastSelectionSeq":18446744073709551616}`
	}},
	{"runtime fields that look the same elsewhere", func(u string) string {
		return `{"x":{"usageCount":1,"isHealthy":false},"list":["usageCount",{"lastUsed":"x"}],"uuid":` + u + `,"usagecount":3,"usageCount ":4}`
	}},
}

// sampled adds a provider for each sample and returns their refs.
func (f *fixture) sampled(typ string) ([]poolkeeper.Ref, [][]byte) {
	f.Helper()
	var refs []poolkeeper.Ref
	var defs [][]byte
	for i, s := range samples {
		r := ref(typ, "id-"+strconv.Itoa(i))
		op := add(r, "")
		op.Data = []byte(s.def(`"` + r.ID + `"`))
		f.do(op)
		refs, defs = append(refs, r), append(defs, op.Data)
	}
	return refs, defs
}

// without returns a definition without the fields that usage changes.
func without(t *testing.T, def []byte) []byte {
	t.Helper()
	out, err := rawjson.SetMany(def, []rawjson.Edit{{Key: "usageCount"}, {Key: "lastUsed"}})
	if err != nil {
		t.Fatalf("an effective provider is not valid: %v", err)
	}
	return out
}

var fidelityCases = []testCase{
	{"1000 updates leave every other byte", func(t *testing.T, h Harness) {
		f := start(t, h)
		refs, defs := f.sampled("t")
		for round := range 10 {
			var ops []poolkeeper.Op
			for range 100 {
				for _, r := range refs {
					ops = append(ops, usage(r, 1))
				}
			}
			ops[0].At = base + int64(round)
			f.do(ops...)
		}
		pool := f.pool("t")
		for i, r := range refs {
			p := pool.Provider(r.ID)
			if !bytes.Equal(p.Definition, defs[i]) {
				t.Errorf("%s: the definition is %s, want %s", samples[i].name, excerpt(p.Definition), excerpt(defs[i]))
			}
			lits := poolkeeper.LiteralsOf(defs[i])
			if got, want := p.Count(poolkeeper.UsageCount), poolkeeper.Int(lits[poolkeeper.UsageCount])+1000; got != want {
				t.Errorf("%s: usageCount %d, want %d", samples[i].name, got, want)
			}
			effective, err := p.JSON()
			if err != nil {
				t.Errorf("%s: %v", samples[i].name, err)
				continue
			}
			if got, want := without(t, effective), without(t, defs[i]); !bytes.Equal(got, want) {
				t.Errorf("%s: beside usageCount and lastUsed, the effective provider is %s, want %s", samples[i].name, excerpt(got), excerpt(want))
			}
		}
	}},
	{"put keeps the bytes as they are given", func(t *testing.T, h Harness) {
		f := start(t, h)
		_, defs := f.sampled("t")
		a := ref("u", "a")
		f.do(add(a, ""))
		for i, s := range samples {
			op := put(a, "")
			op.Data = []byte(s.def(`"a"`))
			f.do(op)
			if got := f.provider(a).Definition; !bytes.Equal(got, op.Data) {
				t.Errorf("%s: %s, want %s", s.name, excerpt(got), excerpt(op.Data))
			}
			if got := f.provider(ref("t", "id-"+strconv.Itoa(i))).Definition; !bytes.Equal(got, defs[i]) {
				t.Errorf("%s: added as %s, want %s", s.name, excerpt(got), excerpt(defs[i]))
			}
		}
	}},
	{"patch and rename touch the fields that they name", func(t *testing.T, h Harness) {
		f := start(t, h)
		refs, defs := f.sampled("t")
		for i, r := range refs {
			f.do(merge(r, `{"patched":[]}`), rename(r, "new-"+strconv.Itoa(i)))
			want, err := rawjson.Set(defs[i], "patched", []byte("[]"))
			if err == nil {
				want, err = rawjson.Set(want, "uuid", []byte(`"new-`+strconv.Itoa(i)+`"`))
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := f.provider(r).Definition; !bytes.Equal(got, want) {
				t.Errorf("%s: %s, want %s", samples[i].name, excerpt(got), excerpt(want))
			}
		}
	}},
	{"an op on one provider leaves all others", func(t *testing.T, h Harness) {
		f := start(t, h)
		refs, _ := f.sampled("t")
		f.sampled("u")
		before := f.load()
		last := len(refs) - 1
		f.do(usage(refs[last], 1), on(poolkeeper.OpError, refs[last]), merge(refs[last], `{"a":1}`), put(refs[last], ""), remove(refs[last]))
		p := before.Pools["t"]
		p.Providers = p.Providers[:last]
		f.same(before, "after ops on another provider")
	}},
	{"replacing a pool keeps the bytes as they are given", func(t *testing.T, h Harness) {
		f := start(t, h)
		var records []poolkeeper.ProviderRecord
		for i, s := range samples {
			id := "id-" + strconv.Itoa(i)
			records = append(records, poolkeeper.ProviderRecord{ID: id, Definition: []byte(s.def(`"` + id + `"`))})
		}
		f.do(replace("t", records...))
		for i, r := range records {
			if got := f.provider(ref("t", r.ID)).Definition; !bytes.Equal(got, r.Definition) {
				t.Errorf("%s: %s, want %s", samples[i].name, excerpt(got), excerpt(r.Definition))
			}
		}
	}},
}
