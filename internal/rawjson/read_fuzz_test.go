package rawjson

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// rebuilt puts a document together again from what Object and Array hand out.
func rebuilt(t *testing.T, doc []byte) []byte {
	t.Helper()
	var out []byte
	sep := func(open byte) {
		if len(out) == 0 {
			out = append(out, open)
		} else {
			out = append(out, ',')
		}
	}
	switch KindOf(doc) {
	case KindObject:
		if err := Object(doc, func(key, value []byte) error {
			sep('{')
			out = append(append(append(out, key...), ':'), rebuilt(t, value)...)
			return nil
		}); err != nil {
			t.Fatalf("a valid object is refused: %v", err)
		}
		if out == nil {
			return []byte("{}")
		}
		return append(out, '}')
	case KindArray:
		if err := Array(doc, func(_ int, value []byte) error {
			sep('[')
			out = append(out, rebuilt(t, value)...)
			return nil
		}); err != nil {
			t.Fatalf("a valid array is refused: %v", err)
		}
		if out == nil {
			return []byte("[]")
		}
		return append(out, ']')
	}
	return Compact(nil, doc)
}

// FuzzObject: what is read is printed as the same tokens, and Get finds what the
// standard library does.
func FuzzObject(f *testing.F) {
	for _, doc := range validDocuments {
		f.Add([]byte(doc), "a")
	}
	f.Add([]byte(`{"a":1,"\u0061":[2,{"a":3}],"":{}}`), "a")
	f.Fuzz(func(t *testing.T, doc []byte, key string) {
		if len(doc) > 1<<12 { // each level is read once more
			return
		}
		valid := Valid(doc) == nil
		err := Object(doc, func(_, _ []byte) error { return nil })
		if (err == nil) != (valid && KindOf(bytes.TrimSpace(doc)) == KindObject) {
			t.Fatalf("valid %v, Object says %v", valid, err)
		}
		if !valid {
			if _, ok := Get(doc, key); ok {
				t.Fatal("something was found in what is not valid")
			}
			return
		}
		if got := rebuilt(t, doc); !bytes.Equal(got, Compact(nil, doc)) {
			t.Fatalf("%q", got)
		}
		if err != nil || !utf8.Valid(doc) || bytes.Contains(doc, []byte(`\u`)) {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(doc, &want); err != nil {
			return // nested more deeply than it reads
		}
		got, ok := Get(doc, key)
		lit, there := want[key]
		if ok != there || !bytes.Equal(got, lit) {
			t.Fatalf("%q: %q %v, want %q %v", key, got, ok, lit, there)
		}
		both := make([][]byte, 2)
		GetMany(doc, []string{key, "a"}, both)
		if !bytes.Equal(both[0], got) || !bytes.Equal(both[1], want["a"]) {
			t.Fatalf("several: %q", both)
		}
	})
}

// FuzzUnquote: a string is read as the standard library does, but that what it
// cannot hold is refused.
func FuzzUnquote(f *testing.F) {
	for _, s := range []string{`"a"`, `"\u0061\n\/"`, `"\ud83d\ude00"`, `"\ud800"`, `"\udc00\ud800"`, "\"\xff\"", `"`, `"\"`, `1`, `"\u00"`, "\"\n\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := Unquote(raw)
		var want string
		err := json.Unmarshal(raw, &want)
		if !ok {
			// White space around it is none of the literal.
			if err == nil && len(bytes.Trim(raw, " \t\r\n")) == len(raw) && utf8.Valid(raw) && !bytes.Contains(raw, []byte(`\u`)) && KindOf(raw) == KindString {
				t.Fatalf("%q is refused", want)
			}
			return
		}
		if err != nil || got != want || !utf8.ValidString(got) {
			t.Fatalf("%q, want %q, %v", got, want, err)
		}
		if again, ok := Unquote(Quote(got)); !ok || again != got {
			t.Fatalf("%q quoted and read is %q", got, again)
		}
	})
}
