package rawjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestDuplicateKey(t *testing.T) {
	var many strings.Builder
	for i := range 3 * fewKeys {
		fmt.Fprintf(&many, `"k%d":0,`, i)
	}
	for doc, want := range map[string]string{
		`{}`: "", `[]`: "", `"a"`: "", `1`: "", ` { "a" : 1 } `: "",
		`{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}`:                     "",
		`{"a":"b","b":"a"}`:                                             "",
		`{"a":1,"a":1}`:                                                 `"a":1}`,
		`{"a":1,"\u0061":2}`:                                            `"\u0061":2}`,
		`{"a":{"x":1,"x":2},"b":1}`:                                     `"x":2},"b":1}`,
		`[[{"a":1},{"b":1, "b" : 2}]]`:                                  `"b" : 2}]]`,
		`{"b":{"a":1},"a":1,"b":[]}`:                                    `"b":[]}`,
		`{"a":1,"":1,"":2}`:                                             `"":2}`,
		`{"\ud800":1,"\ud801":1}`:                                       "",
		"{\"\xff\":1,\"\xfe\":1}":                                       "",
		`{` + many.String() + `"x":1}`:                                  "",
		`{` + many.String() + `"k0":1}`:                                 `"k0":1}`,
		`{` + many.String() + `"k47":1}`:                                `"k47":1}`,
		strings.Repeat(`{"a":`, 9000) + `1` + strings.Repeat("}", 9000): "",
	} {
		got := ""
		if i := DuplicateKey([]byte(doc)); i >= 0 {
			got = doc[i:]
		}
		if got != want {
			t.Errorf("%.60s: %q, want %q", doc, got, want)
		}
	}
}

// keysTwice is DuplicateKey by the decoder of the standard library.
func keysTwice(dec *json.Decoder) bool {
	tok, err := dec.Token()
	if err != nil {
		return false
	}
	twice, seen := false, map[string]bool{}
	for dec.More() && (tok == json.Delim('{') || tok == json.Delim('[')) {
		if tok == json.Delim('{') {
			key, _ := dec.Token()
			twice = twice || seen[key.(string)]
			seen[key.(string)] = true
		}
		twice = keysTwice(dec) || twice
	}
	if tok == json.Delim('{') || tok == json.Delim('[') {
		dec.Token()
	}
	return twice
}

func FuzzDuplicateKey(f *testing.F) {
	for _, s := range []string{`{"a":1,"a":2}`, `{"a":[{"b":1,"\u0062":2}]}`, `[]`, `{"a":{"a":{"a":1}},"b":1}`, `{"a":"b","b":"a"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		// The standard library makes one key of all that is no UTF-8.
		if Valid(doc) != nil || bytes.Contains(doc, []byte(`\u`)) || !bytes.Equal(doc, bytes.ToValidUTF8(doc, nil)) {
			return
		}
		if i, want := DuplicateKey(doc), keysTwice(json.NewDecoder(bytes.NewReader(doc))); (i >= 0) != want {
			t.Fatalf("a key twice: at %d, want %v", i, want)
		}
	})
}
