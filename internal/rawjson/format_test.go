package rawjson

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestIndent(t *testing.T) {
	for _, tt := range []struct{ doc, want string }{
		{" 1e400 ", "1e400"},
		{"{ }", "{}"},
		{"[\n]", "[]"},
		{`{"a":1.0,"b":[ ],"c":{"d":[1,{"\ud800":"a\"] "}]}}`,
			"{\n>  \"a\": 1.0,\n>  \"b\": [],\n>  \"c\": {\n>    \"d\": [\n>      1,\n>      {\n>        \"\\ud800\": \"a\\\"] \"\n>      }\n>    ]\n>  }\n>}"},
	} {
		if got := Indent([]byte("x"), []byte(tt.doc), ">", "  "); string(got) != "x"+tt.want {
			t.Errorf("%s: %s, want %s", tt.doc, got, tt.want)
		}
		if got := IndentLen([]byte(tt.doc), ">", "  "); got != len(tt.want) {
			t.Errorf("%s: %d bytes, want %d", tt.doc, got, len(tt.want))
		}
	}
}

func TestCompact(t *testing.T) {
	if got := Compact([]byte("x"), []byte(" { \"a\" : [ 1.0 ,\t-0 ],\n\"b\":\"\\u003c \" } ")); string(got) != `x{"a":[1.0,-0],"b":"\u003c "}` {
		t.Errorf("got %s", got)
	}
}

// FuzzIndent: all forms of a document have the same tokens; any other input
// does no harm.
func FuzzIndent(f *testing.F) {
	for _, doc := range validDocuments {
		f.Add([]byte(doc))
	}
	f.Add([]byte(`"a\`))
	f.Add([]byte(`}]`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		indented := Indent(nil, doc, "", "  ")
		compact := Compact(nil, doc)
		length := IndentLen(doc, "> ", "\t")
		if Valid(doc) != nil {
			return
		}
		if want := len(Indent(nil, doc, "> ", "\t")); length != want {
			t.Errorf("%d bytes indented, want %d", length, want)
		}
		for _, got := range [][]byte{indented, compact} {
			if path, offset := DiffTokens(doc, got); offset >= 0 || path != "" || !EqualTokens(got, doc) {
				t.Errorf("%q: tokens differ at %q, %d", got, path, offset)
			}
		}
		var want bytes.Buffer
		if err := json.Indent(&want, bytes.Trim(doc, " \t\r\n"), "", "  "); err != nil || !bytes.Equal(indented, want.Bytes()) {
			t.Errorf("%q, want %q, %v", indented, want.Bytes(), err)
		}
		want.Reset()
		if err := json.Compact(&want, doc); err != nil || !bytes.Equal(compact, want.Bytes()) {
			t.Errorf("%q, want %q, %v", compact, want.Bytes(), err)
		}
	})
}
