package storetest

import (
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// bodies are bytes that are easily damaged.
var bodies = map[string]string{
	"empty":             "",
	"a BOM":             "\ufeff{\"a\":1}\r\n",
	"invalid UTF-8":     "{\"a\":\"\xff\xfe\"}\x00",
	"white space":       " \t\r\n",
	"no JSON":           "not { JSON",
	"numbers":           `{"a":1.0,"b":123456789012345678901234567890,"c":1E400,"d":-0}`,
	"keys that repeat":  `{"a":1,"a":2,"":[],"__proto__":{}}`,
	"lone surrogates":   `{"a":"\ud800","\udc00":"\u0000"}`,
	"1 MiB":             `{"long":"` + strings.Repeat("0123456789abcde\n", 1<<16) + `"}`,
	"separators":        "1,2;3:4\n5,6",
	"a number":          "42",
	"a line of a lane":  "12 1769000000000 1 0123 1;ok",
	"an op of a script": "return redis.call('GET', KEYS[1])",
}

// valueKeys are keys of each kind that takes any bytes.
var valueKeys = []poolkeeper.Key{
	poolkeeper.ConfigKey, poolkeeper.PasswordKey, poolkeeper.DocumentKey("plugins.json"), poolkeeper.TokenKey(ref("a{b}c", "x:1")),
	poolkeeper.FileKey("configs/common/x.p12"), poolkeeper.SessionKey(poolkeeper.SessionName("bearer")),
}

var valueCases = []testCase{
	{"values keep their bytes", func(t *testing.T, h Harness) {
		f := start(t, h)
		for _, key := range valueKeys {
			for name, body := range bodies {
				if len(body) > key.Limit() {
					continue
				}
				if res := f.do(putValue(key, body)); !res.Changed || res.Revision.IsZero() || res.ID != "" {
					t.Errorf("%s, %s: result %+v", key, name, res)
				}
				d, ok := f.load(key).Values[key]
				if !ok || string(d.Data) != body {
					t.Errorf("%s, %s: there %v, %s", key, name, ok, excerpt(d.Data))
				}
				if d.ETag() != poolkeeper.ETag([]byte(body)) {
					t.Errorf("%s, %s: ETag %s", key, name, d.ETag())
				}
			}
		}
	}},
	{"put of the same bytes changes nothing", func(t *testing.T, h Harness) {
		f := start(t, h)
		for _, key := range valueKeys {
			f.do(putValue(key, "x"))
			before := f.load(key).Values[key]
			if res := f.do(putValue(key, "x")); res.Changed || res.Revision != before.Revision {
				t.Errorf("%s: result %+v, revision before %s", key, res, before.Revision)
			}
			if res := f.do(putValue(key, "y")); !res.Changed || res.Revision == before.Revision || f.load(key).Values[key].Revision != res.Revision {
				t.Errorf("%s: result %+v of another value, revision before %s", key, res, before.Revision)
			}
		}
	}},
	{"delete removes a value, once", func(t *testing.T, h Harness) {
		f := start(t, h)
		for _, key := range valueKeys {
			f.refuse(removeValue(key), poolkeeper.ErrNotFound)
			f.do(putValue(key, ""))
			if res := f.do(removeValue(key)); !res.Changed {
				t.Errorf("%s: result %+v", key, res)
			}
			if _, ok := f.load(key).Values[key]; ok {
				t.Errorf("%s is there after it was deleted", key)
			}
			f.refuse(removeValue(key), poolkeeper.ErrNotFound)
			f.do(putValue(key, "again"))
			f.wantData(key, "again")
		}
	}},
	{"each file and token path has a value of its own", func(t *testing.T, h Harness) {
		f := start(t, h)
		one, two := poolkeeper.FileKey("a"), poolkeeper.FileKey("b")
		f.do(putValue(one, "1"), putValue(two, "2"), removeValue(one), putValue(poolkeeper.TokenRefKey("p"), `["t","a"]`), putValue(poolkeeper.TokenRefKey("q"), `["","b"]`))
		f.wantData(two, "2")
		f.do(putValue(one, "3"))
		f.wantData(two, "2")
		f.do(removeValue(poolkeeper.TokenRefKey("p")))
		f.wantData(poolkeeper.TokenRefKey("q"), `["","b"]`)
	}},
	{"patch changes what it names", func(t *testing.T, h Harness) {
		f := start(t, h)
		doc := "{\r\n  \"big\" : 123456789012345678901234567890,\r\n  \"l\" : [],\r\n  \"usageCount\" : 1\r\n}\r\n"
		for _, key := range []poolkeeper.Key{poolkeeper.ConfigKey, poolkeeper.DocumentKey("plugins.json"), poolkeeper.TokenKey(ref("t", "a"))} {
			f.do(putValue(key, doc))
			if res := f.do(mergeValue(key, `{"l":{"x":1.0}}`)); !res.Changed {
				t.Errorf("%s: result %+v", key, res)
			}
			f.wantData(key, strings.Replace(doc, "[]", `{"x":1.0}`, 1))
			if res := f.do(mergeValue(key, `{"l":{"x":1.0}}`)); res.Changed {
				t.Errorf("%s: the same patch again: %+v", key, res)
			}
			f.do(mergeValue(key, `{"usageCount":2,"uuid":"x"}`)) // names that mean something elsewhere
			f.do(putValue(key, doc), jsonPatch(mergeValue(key, ""), `[{"op":"replace","path":"/l","value":null},{"op":"remove","path":"/big"}]`))
			f.wantData(key, "{\r\n  \"l\" : null,\r\n  \"usageCount\" : 1\r\n}\r\n")
		}
	}},
	{"a patch that does not apply changes nothing", func(t *testing.T, h Harness) {
		f := start(t, h)
		key := poolkeeper.DocumentKey("x")
		f.refuse(mergeValue(key, "{}"), poolkeeper.ErrNotFound)
		for _, body := range []string{"", "[]", "1", "{", "\ufeff{}", `{"a":1} x`} {
			f.do(putValue(key, body))
			f.refuse(mergeValue(key, `{"a":2}`), poolkeeper.ErrInvalid)
			f.wantData(key, body)
		}
		f.do(putValue(key, `{"a":1}`))
		for _, patch := range []string{`[{"op":"test","path":"/a","value":2}]`, `[{"op":"remove","path":"/b"}]`, `[{"op":"replace","path":"","value":[]}]`} {
			f.refuse(jsonPatch(mergeValue(key, ""), patch), poolkeeper.ErrInvalid)
		}
		f.wantData(key, `{"a":1}`)
	}},
	{"ops of one call take effect in their order", func(t *testing.T, h Harness) {
		f := start(t, h)
		key := poolkeeper.DocumentKey("x")
		rs := f.b.Apply(f.ctx, putValue(key, `{"a":1}`), mergeValue(key, `{"a":2}`), given(poolkeeper.IfAbsent, putValue(key, "no")),
			mergeValue(key, `{"b":3}`), removeValue(key), mergeValue(key, "{}"), putValue(key, `{"c":4}`), removeValue(poolkeeper.DocumentKey("y")))
		for i, want := range []error{nil, nil, poolkeeper.ErrConflict, nil, nil, poolkeeper.ErrNotFound, nil, poolkeeper.ErrNotFound} {
			wantErr(t, i, rs[i].Err, want)
		}
		f.wantData(key, `{"c":4}`)
	}},
}
