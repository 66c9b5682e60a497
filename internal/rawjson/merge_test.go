package rawjson

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestMergePatch(t *testing.T) {
	for _, tt := range []struct{ target, patch, want string }{
		// The examples of RFC 7386, appendix A.
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		// Bytes.
		{"\n{ \"n\" : 1.0,\"b\":{\"x\":1e400, \"y\":-0} }\n", `{"b":{"y":2,"z":3}}`, "\n{ \"n\" : 1.0,\"b\":{\"x\":1e400, \"y\":2, \"z\":3} }\n"},
		{`{"a":1,"a":{"x":1}}`, `{"a":{"y":2}}`, `{"a":1,"a":{"x":1,"y":2}}`},
		{`{"a":1,"b":2,"a":3}`, `{"a":null}`, `{"b":2}`},
		{`{"\ud800":1,"\u0061":2}`, `{"\uD800":3,"a":4}`, `{"\ud800":3,"\u0061":4}`},
		{`{}`, `{"\ud800":1}`, `{"\ud800":1}`},
		{`{"a":1}`, `{"a":2,"a":null}`, `{}`},
		{`{"a":1}`, `{"a":null,"a":2,"b":1,"b":3}`, `{"a":2,"b":3}`},
		{`{}`, `{"a":{"x":null,"x":1,"y":2,"y":null,"z":[null,{"k":null}]}}`, `{"a":{"x":1,"z":[null,{"k":null}]}}`},
		{`{"a":{ }}`, `{"a":{}}`, `{"a":{ }}`},
		{`{"a":[]}`, `{"a":{ }}`, `{"a":{ }}`},
		{" 7 ", `{ "a" : 1 , "b":null }`, ` { "a" : 1 } `},
	} {
		got, err := MergePatch([]byte(tt.target), []byte(tt.patch))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s + %s: %s, %v; want %s", tt.target, tt.patch, got, err, tt.want)
		}
	}
}

func TestMergePatchErrors(t *testing.T) {
	for _, tt := range []struct{ target, patch, want string }{
		{`{`, `{}`, "target: "},
		{`{}`, `{"a":01}`, "patch: "},
	} {
		got, err := MergePatch([]byte(tt.target), []byte(tt.patch))
		var e *SyntaxError
		if got != nil || !errors.As(err, &e) || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s + %s: %s, %v", tt.target, tt.patch, got, err)
		}
	}
}

func TestMergePatchDeep(t *testing.T) {
	deep := []byte(strings.Repeat(`{"a":`, MaxDepth-1) + `{"x":1}` + strings.Repeat(`}`, MaxDepth-1))
	patch := bytes.Replace(deep, []byte(`"x":1`), []byte(`"y":2,"x":null`), 1)
	want := bytes.Replace(deep, []byte(`"x":1`), []byte(`"y":2`), 1)
	got, err := MergePatch(deep, patch)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// mergeDecoded is the algorithm of RFC 7386, as it is written there.
func mergeDecoded(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = map[string]any{}
	}
	for name, value := range p {
		if value == nil {
			delete(t, name)
		} else {
			t[name] = mergeDecoded(t[name], value)
		}
	}
	return t
}

func checkMerge(t *testing.T, target, patch []byte) {
	t.Helper()
	got, err := MergePatch(target, patch)
	if err != nil {
		t.Fatalf("%s + %s: %v", target, patch, err)
	}
	want := mergeDecoded(decode(t, target), decode(t, patch))
	if !reflect.DeepEqual(decode(t, got), want) {
		t.Fatalf("%s + %s: %s, want %v", target, patch, got, want)
	}
}

func TestMergePatchProperty(t *testing.T) {
	g := newGenerator(t)
	for range 3000 {
		checkMerge(t, []byte(g.value(4)), []byte(g.value(4)))
	}
}

func FuzzMergePatch(f *testing.F) {
	for _, doc := range validDocuments {
		f.Add([]byte(doc), []byte(`{"a":{"b":null,"c":1},"":null}`))
		f.Add([]byte(`{"a":{"b":[1],"c":2},"d":{}}`), []byte(doc))
	}
	f.Fuzz(func(t *testing.T, target, patch []byte) {
		got, err := MergePatch(target, patch)
		if (err != nil) != (Valid(target) != nil || Valid(patch) != nil) {
			t.Fatalf("error %v", err)
		}
		if err != nil {
			return
		}
		if err := Valid(got); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		// Where keys have no UTF-8 form, encoding/json takes different ones for
		// the same, and cannot be the judge.
		if allText(target) && allText(patch) {
			checkMerge(t, target, patch)
		}
	})
}

// allText reports whether all strings of a document have a UTF-8 form.
func allText(doc []byte) bool {
	for i := skipSpace(doc, 0); i < len(doc); {
		end := tokenEnd(doc, i)
		if doc[i] == '"' {
			if _, ok := Unquote(doc[i:end]); !ok {
				return false
			}
		}
		i = skipSpace(doc, end)
	}
	return true
}
