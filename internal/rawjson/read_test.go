package rawjson

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestObject(t *testing.T) {
	got := raws(t, []byte(` { "a" : 1.0 ,"\u0061":[ ], "":"\ud800","c":{"a":1} } `))
	want := []string{`"a"`, `1.0`, `"\u0061"`, `[ ]`, `""`, `"\ud800"`, `"c"`, `{"a":1}`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestArray(t *testing.T) {
	var got []string
	err := Array([]byte(" [ 1e400 ,{\"a\" : 1}\n, null ] "), func(i int, value []byte) error {
		got = append(got, fmt.Sprint(i, " ", string(value)))
		return nil
	})
	if want := []string{"0 1e400", `1 {"a" : 1}`, "2 null"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestIterationErrors(t *testing.T) {
	stop := errors.New("stop")
	for _, tt := range []struct {
		doc    string
		fail   error
		offset int64
		calls  int
	}{
		{"[1,2,3]", stop, 0, 1},
		{"[1,x]", nil, 3, 1},
		{"[1] x", nil, 4, 1},
		{"7", nil, 0, 0},
		{"", nil, 0, 0},
	} {
		calls := 0
		count := func() error { calls++; return tt.fail }
		check := func(err error) {
			t.Helper()
			var e *SyntaxError
			if tt.fail != nil && err != tt.fail || tt.fail == nil && (!errors.As(err, &e) || e.Offset != tt.offset) || calls != tt.calls {
				t.Errorf("%s: %v after %d calls", tt.doc, err, calls)
			}
			calls = 0
		}
		check(Array([]byte(tt.doc), func(int, []byte) error { return count() }))
	}
	if err := Object([]byte(`{"a":1}`), func(_, _ []byte) error { return stop }); err != stop {
		t.Errorf("Object: %v", err)
	}
	if err := Object([]byte(`{"a":1]`), func(_, _ []byte) error { return nil }); err == nil {
		t.Error("Object took a wrong bracket")
	}
	if err := Object([]byte(`[]`), func(_, _ []byte) error { return nil }); err == nil {
		t.Error("Object took an array")
	}
}

func TestObjectValuesAreClipped(t *testing.T) {
	doc := []byte(`{"a":1,"b":2}`)
	v, _ := Get(doc, "a")
	_ = append(v, "99999"...)
	if string(doc) != `{"a":1,"b":2}` {
		t.Errorf("append wrote into the document: %s", doc)
	}
}

func TestGet(t *testing.T) {
	const doc = `{"a":1, "\u0061":2, "A":3, "":4, "__proto__":5, "\ud83d\ude00":6, "n":null, "in":{"x":7}, "a\\b":8, "\ud800":9, "é":10}`
	for key, want := range map[string]string{
		"a": "2", "A": "3", "": "4", "__proto__": "5", "😀": "6", "n": "null", "in": `{"x":7}`, `a\b`: "8", "é": "10",
		"x": "", `a\\b`: "", `\u0061`: "", "\ufffd": "", "aa": "",
	} {
		got, ok := Get([]byte(doc), key)
		if string(got) != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", key, got, ok, want)
		}
		out := make([][]byte, 2)
		GetMany([]byte(doc), []string{"nope", key}, out)
		if string(out[1]) != want || out[0] != nil {
			t.Errorf("GetMany %q: %q; want %q", key, out, want)
		}
	}
	for _, doc := range []string{``, `[]`, `{"a":1`, `{"a":1} x`} {
		if got, ok := Get([]byte(doc), "a"); got != nil || ok {
			t.Errorf("%q: got %q, %v", doc, got, ok)
		}
		out := [][]byte{[]byte("old")}
		if GetMany([]byte(doc), []string{"a"}, out); out[0] != nil {
			t.Errorf("GetMany %q: got %q", doc, out)
		}
	}
}
