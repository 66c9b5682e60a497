package rawjson

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestSet(t *testing.T) {
	for _, tt := range []struct{ doc, key, value, want string }{
		{`{"a":1,"b":2}`, "a", "3", `{"a":3,"b":2}`},
		{` {"a" : 1.0 , "b":1e400} `, "b", "-0", ` {"a" : 1.0 , "b":-0} `},
		{`{"a":1,"a":2}`, "a", "3", `{"a":1,"a":3}`},
		{`{"a":1,"\u0061":2}`, "a", " [ ] ", `{"a":1,"\u0061":[ ]}`},
		{`{"a":{"a":1}}`, "a", "null", `{"a":null}`},
		{`{}`, "k", "1", `{"k":1}`},
		{`{ }`, "k", "1", `{"k":1}`},
		{`{"a":1}`, "k", "2", `{"a":1,"k":2}`},
		{`{"a": 1}`, "k", "2", `{"a": 1, "k": 2}`},
		{`{ "a":1 }`, "k", "2", `{ "a":1, "k":2 }`},
		{`{"a": 1, "b": 2}`, "k", "3", `{"a": 1, "b": 2, "k": 3}`},
		{`{"a" : 1 , "b" : 2}`, "k", "3", `{"a" : 1 , "b" : 2 , "k" : 3}`},
		{"{\"a\":\n1}", "k", "2", "{\"a\":\n1, \"k\": 2}"},
		{"{\n  \"a\": 1\n}", "k", "2", "{\n  \"a\": 1,\n  \"k\": 2\n}"},
		{"{\n  \"a\": 1,\n  \"b\": 2\n}\n", "k", "3", "{\n  \"a\": 1,\n  \"b\": 2,\n  \"k\": 3\n}\n"},
		{"{\r\n\t\"a\":1\r\n}", "k", "2", "{\r\n\t\"a\":1,\r\n\t\"k\":2\r\n}"},
		{`{"a":1}`, "", "2", `{"a":1,"":2}`},
		{`{"a":1}`, "q\"\n<", "2", `{"a":1,"q\"\n<":2}`},
		{`{"\ud800":1}`, "\ufffd", "2", "{\"\\ud800\":1,\"\ufffd\":2}"},
		{"{\"\xff\":1}", "\xff", "2", "{\"\xff\":2}"},
		{`{"__proto__":1}`, "__proto__", `"\ud800"`, `{"__proto__":"\ud800"}`},
	} {
		got, err := Set([]byte(tt.doc), tt.key, []byte(tt.value))
		if err != nil || string(got) != tt.want {
			t.Errorf("%q, %q: %q, %v; want %q", tt.doc, tt.key, got, err, tt.want)
		}
	}
}

func TestSetErrors(t *testing.T) {
	for _, tt := range []struct{ doc, value, path string }{
		{`{"a":1`, "1", ""},
		{`{"a":1}x`, "1", ""},
		{`[]`, "1", ""},
		{`{}`, "", "/x~1y"},
		{`{}`, "1,2", "/x~1y"},
		{`{}`, `1,"x":2`, "/x~1y"},
	} {
		got, err := Set([]byte(tt.doc), "x/y", []byte(tt.value))
		var e *SyntaxError
		if got != nil || !errors.As(err, &e) || e.Path != tt.path {
			t.Errorf("%q, %q: %q, %#v", tt.doc, tt.value, got, err)
		}
	}
	if _, err := Set([]byte(`{"a":1}`), "a", nil); err == nil {
		t.Error("nil was taken as a value")
	}
	if _, err := Set([]byte(`{}`), "\xff", []byte("1")); !errors.Is(err, ErrBadKey) {
		t.Errorf("bad key: %v", err)
	}
	if _, err := Set([]byte(`{}`), "a", nested(MaxDepth)); err == nil {
		t.Error("the document became too deep")
	}
}

func TestDelete(t *testing.T) {
	for _, tt := range []struct{ doc, want string }{
		{`{"x":1}`, `{}`},
		{"{\n  \"x\": 1\n}\n", "{}\n"},
		{`{"x":1,"a":2}`, `{"a":2}`},
		{`{"a":1 , "x":2 }`, `{"a":1 }`},
		{`{"a":1, "x":2, "b":3}`, `{"a":1, "b":3}`},
		{`{"x":1,"a":2,"x":3,"x":4,"b":5,"\u0078":6}`, `{"a":2,"b":5}`},
		{`{"x":1,"x":2}`, `{}`},
		{"{\n  \"x\": 1,\n  \"a\": 2\n}", "{\n  \"a\": 2\n}"},
		{"{\n  \"a\": 1,\n  \"x\": 2\n}", "{\n  \"a\": 1\n}"},
		{`{"a":{"x":1}}`, `{"a":{"x":1}}`},
		{`{ }`, `{ }`},
	} {
		got, found, err := Delete([]byte(tt.doc), "x")
		if err != nil || string(got) != tt.want || found != (tt.doc != tt.want) {
			t.Errorf("%q: %q, %v, %v; want %q", tt.doc, got, found, err, tt.want)
		}
	}
	if got, found, err := Delete([]byte(`[`), "x"); got != nil || found || err == nil {
		t.Errorf("got %q, %v, %v", got, found, err)
	}
}

func TestSetMany(t *testing.T) {
	set := func(key, value string) Edit { return Edit{key, []byte(value)} }
	remove := func(key string) Edit { return Edit{Key: key} }
	var many []Edit
	want := `{"a":1`
	for i := range 40 {
		many = append(many, set(fmt.Sprint("k", i), fmt.Sprint(i)))
		want += fmt.Sprintf(`,"k%d":%d`, i, i)
	}
	for _, tt := range []struct {
		doc   string
		edits []Edit
		want  string
	}{
		{`{"a":1}`, nil, `{"a":1}`},
		{`{"a":1, "b":2, "c":3}`, []Edit{set("c", "4"), remove("a"), set("d", "5"), set("e", "6")}, `{"b":2, "c":4, "d":5, "e":6}`},
		{`{"a":1,"b":2}`, []Edit{remove("b"), set("c", "3")}, `{"a":1,"c":3}`},
		{"{\n  \"a\": 1\n}", []Edit{remove("a"), set("b", "2"), set("c", "3")}, "{\n  \"b\": 2,\n  \"c\": 3\n}"},
		{`{}`, []Edit{set("a", "1"), set("b", "2")}, `{"a":1,"b":2}`},
		{`{"a":1}`, []Edit{set("a", "2"), set("a", "3")}, `{"a":3}`},
		{`{"a":1}`, []Edit{set("a", "2"), remove("a")}, `{}`},
		{`{"a":1}`, []Edit{remove("a"), set("a", "2")}, `{"a":2}`},
		{`{}`, []Edit{set("a", "1"), set("a", "2"), remove("b")}, `{"a":2}`},
		{`{"a":1}`, many, want + `}`},
	} {
		got, err := SetMany([]byte(tt.doc), tt.edits)
		if err != nil || string(got) != tt.want {
			t.Errorf("%q: %q, %v; want %q", tt.doc, got, err, tt.want)
		}
	}
}

func TestSetManyDoesNotAlias(t *testing.T) {
	doc := []byte(`{"a":1}`)
	got, _ := SetMany(doc, nil)
	doc[5] = '2'
	if string(got) != `{"a":1}` {
		t.Errorf("the result changed with its source: %s", got)
	}
}

// TestEditProperty: one edit leaves the raw bytes of all other members alone.
func TestEditProperty(t *testing.T) {
	g := newGenerator(t)
	for range 5000 {
		doc := []byte(g.object(3))
		key, ok := Unquote([]byte(g.pick(g.keys)))
		if !ok {
			t.Fatal("key without text")
		}
		checkEdit(t, doc, key, []byte(g.value(2)))
	}
}

func checkEdit(t *testing.T, doc []byte, key string, value []byte) {
	t.Helper()
	before := bytes.Clone(doc)
	others := raws(t, doc, key)
	got, err := Set(doc, key, value)
	if err != nil {
		t.Fatalf("%s, %q: %v", doc, key, err)
	}
	if v, _ := Get(got, key); !bytes.Equal(v, trimSpace(value)) {
		t.Fatalf("%s, %q: %s has value %s, want %s", doc, key, got, v, value)
	}
	if !slices.Equal(raws(t, got, key), others) {
		t.Fatalf("%s, %q: other members changed: %s", doc, key, got)
	}
	_, had := Get(doc, key)
	got, found, err := Delete(doc, key)
	if err != nil || found != had {
		t.Fatalf("%s, delete %q: %v, %v", doc, key, found, err)
	}
	if !slices.Equal(raws(t, got), others) {
		t.Fatalf("%s, delete %q: %s", doc, key, got)
	}
	if !bytes.Equal(doc, before) {
		t.Fatal("the source changed")
	}
}

func FuzzSet(f *testing.F) {
	for _, doc := range validDocuments {
		f.Add([]byte(doc), "a", []byte("1"))
	}
	f.Add([]byte("{\n \"a\" :1,\r\n\"a\":2 ,\"\\u0000\":3 }"), "\x00", []byte(" {} "))
	f.Fuzz(func(t *testing.T, doc []byte, key string, value []byte) {
		_, err := Set(doc, key, value)
		wantErr := Valid(doc) != nil || KindOf(doc) != KindObject || Valid(value) != nil
		if err == nil && !wantErr {
			checkEdit(t, doc, key, value)
		} else if (err != nil) != wantErr && !errors.Is(err, ErrBadKey) && depth(value) < MaxDepth {
			t.Errorf("error %v", err)
		}
	})
}
