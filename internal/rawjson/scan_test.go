package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

var validDocuments = append([]string{
	`{}`, `[]`, ` [ ] `, "\t{\r\n}\n", `{"a":1}`, `{"a":{"b":[1,2,{"c":null}]},"d":"x"}`,
	`{"a":1,"a":2}`, `{"":0}`, `[[[]]]`, `[1e5,1E+5,1.5e-5,-1]`, "\"\x7f\"", "\"\xff\"", `"\"\\\/\b\f\n\r\t\uABcd"`,
}, oddScalars...)

var invalidDocuments = []struct {
	doc    string
	offset int64
	msg    string
}{
	{"", 0, "end of document"},
	{"  ", 2, "end of document"},
	{"\xef\xbb\xbf{}", 0, `'\ufeff'`},
	{"{} {}", 3, `'{', expected end of document`},
	{"{}x", 2, `'x'`},
	{"/**/{}", 0, `'/'`},
	{"NaN", 0, `'N'`},
	{"nul", 3, "expected null"},
	{"trux", 3, "expected true"},
	{"falze", 3, "expected false"},
	{"01", 1, `'1'`},
	{"-", 1, "a digit"},
	{"+1", 0, `'+'`},
	{"1.", 2, "a digit"},
	{".5", 0, `'.'`},
	{"1e", 2, "a digit"},
	{"1e+x", 3, `'x', expected a digit`},
	{"[1,]", 3, `']', expected a value`},
	{"[1 2]", 3, "a comma"},
	{"[1", 2, "a comma"},
	{"[", 1, "end of document"},
	{"[,]", 1, `','`},
	{`{"a":1,}`, 7, `'}', expected a key`},
	{`{"a":1 "b":2}`, 7, "a comma"},
	{`{a:1}`, 1, "a key"},
	{`{"a"}`, 4, "a colon"},
	{`{"a" 1}`, 5, "a colon"},
	{`{"a":}`, 5, "a value"},
	{`{"a":`, 5, "end of document"},
	{`{"a`, 3, "the end of the string"},
	{`{`, 1, "end of document"},
	{`{]`, 1, "a key"},
	{`"a`, 2, "the end of the string"},
	{"\"a\nb\"", 2, `control character '\n'`},
	{"\"\x00\"", 1, `control character '\x00'`},
	{`"\x"`, 2, `'x', expected an escape`},
	{`"\`, 2, "an escape"},
	{`"\u12g4"`, 5, `'g'`},
	{`"\u12`, 5, "hexadecimal"},
	{"[\xff]", 1, `'\xff'`},
	{"]", 0, `']'`},
}

func TestValid(t *testing.T) {
	for _, doc := range validDocuments {
		if err := Valid([]byte(doc)); err != nil {
			t.Errorf("%q: %v", doc, err)
		}
	}
	for _, tt := range invalidDocuments {
		err := Valid([]byte(tt.doc))
		var e *SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("%q: error %v", tt.doc, err)
			continue
		}
		if e.Offset != tt.offset || !strings.Contains(e.Msg, tt.msg) {
			t.Errorf("%q: offset %d, %q; want %d, %q", tt.doc, e.Offset, e.Msg, tt.offset, tt.msg)
		}
	}
}

func TestValidDepth(t *testing.T) {
	for levels, want := range map[int]bool{300: true, MaxDepth: true, MaxDepth + 2: false, 20_000: false} {
		doc := nested(levels)
		if err := Valid(doc); (err == nil) != want {
			t.Errorf("%d levels: %v", levels, err)
		}
		err := Object(doc, func(_, _ []byte) error { return nil })
		if (err == nil) != want {
			t.Errorf("Object with %d levels: %v", levels, err)
		}
	}
}

func TestSyntaxError(t *testing.T) {
	err := Valid([]byte("{\n  \"clé\": secret\n}"))
	want := &SyntaxError{Offset: 12, Line: 2, Column: 10, Msg: "unexpected character 's', expected a value"}
	var e *SyntaxError
	if !errors.As(err, &e) || *e != *want {
		t.Fatalf("got %#v, want %#v", err, want)
	}
	const text = "invalid JSON at 2:10 (offset 12): unexpected character 's', expected a value"
	if err.Error() != text {
		t.Errorf("got %q", err)
	}
	e.Path = "config.json"
	if err.Error() != "config.json: "+text {
		t.Errorf("got %q", err)
	}
}

func TestStripBOM(t *testing.T) {
	if got, had := StripBOM([]byte("\xef\xbb\xbf{}")); string(got) != "{}" || !had {
		t.Errorf("got %q, %v", got, had)
	}
	if got, had := StripBOM([]byte("{}")); string(got) != "{}" || had {
		t.Errorf("got %q, %v", got, had)
	}
}

func TestKindOf(t *testing.T) {
	for doc, want := range map[string]string{
		" {}": "object", "\n[]": "array", `"x"`: "string", "-1": "number", "0": "number",
		"true": "boolean", "false": "boolean", "null": "null", "": "invalid", " ": "invalid", "x": "invalid",
	} {
		if got := KindOf([]byte(doc)).String(); got != want {
			t.Errorf("%q: %s, want %s", doc, got, want)
		}
	}
}

func TestValidUTF8(t *testing.T) {
	for doc, offset := range map[string]int64{
		"": -1, `{"a":"é😀"}`: -1, "\"\ufffd\"": -1,
		"\xff": 0, "{\"a\":\"é\xc3\"}": 8, "\"\ufffd\xe2\x82\"": 4, "\xed\xa0\x80": 0,
	} {
		err := ValidUTF8([]byte(doc))
		var syntax *SyntaxError
		if is := errors.As(err, &syntax); is != (offset >= 0) || is && syntax.Offset != offset {
			t.Errorf("%q: %v, want offset %d", doc, err, offset)
		}
	}
}

// FuzzValid: the grammar is that of encoding/json, depth and invalid UTF-8 included.
func FuzzValid(f *testing.F) {
	for _, doc := range validDocuments {
		f.Add([]byte(doc))
	}
	for _, tt := range invalidDocuments {
		f.Add([]byte(tt.doc))
	}
	f.Add(nested(300))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		err := Valid(data)
		if (err == nil) != json.Valid(data) {
			t.Errorf("Valid: %v, json.Valid: %v", err, json.Valid(data))
		}
		if !bytes.Equal(data, before) {
			t.Error("data changed")
		}
		if err == nil {
			if doc, _ := parse(data); doc.nodes[0].next != len(doc.nodes) {
				t.Error("the root does not hold all nodes")
			}
		}
	})
}
