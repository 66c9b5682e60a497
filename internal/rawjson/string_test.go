package rawjson

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestUnquote(t *testing.T) {
	for raw, want := range map[string]string{
		`""`: "", `"a"`: "a", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\u003c\u00E9"`: "<é", `"\ud83d\ude00"`: "😀",
		`"\u0000"`: "\x00", "\"\u2028\"": "\u2028", `"\ufffd"`: "\ufffd", `"x\uABcd"`: "x\uabcd",
	} {
		if got, ok := Unquote([]byte(raw)); got != want || !ok {
			t.Errorf("%s: %q, %v; want %q", raw, got, ok, want)
		}
	}
	for _, raw := range []string{
		``, `"`, `1`, `"a`, `"a"x`, ` "a"`, `"a" `, `"\x"`, `"\ud800"`, `"\ud800x"`, `"\udc00\ud800"`, `"\ud800\u0041"`, `"\ud800\n12345"`, "\"\xff\"",
	} {
		if got, ok := Unquote([]byte(raw)); ok || got != "" {
			t.Errorf("%q: got %q, %v", raw, got, ok)
		}
	}
}

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{
		"": `""`, "a\"b\\c/d": `"a\"b\\c/d"`, "\b\t\n\f\r": `"\b\t\n\f\r"`, "\x00\x1f\x0b\x7f": "\"\\u0000\\u001f\\u000b\x7f\"",
		"<&>é😀\u2028": "\"<&>é😀\u2028\"", "a\xffb\xed\xa0\x80": "\"a\ufffdb\ufffd\ufffd\ufffd\"", "\ufffd": "\"\ufffd\"",
	} {
		if got := Quote(s); string(got) != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
	if got := AppendQuote([]byte("x:"), "a"); string(got) != `x:"a"` {
		t.Errorf("got %s", got)
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("a\"b\\c\x00\xff\ufffd😀\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		quoted := Quote(s)
		var want string
		if err := json.Unmarshal(quoted, &want); err != nil {
			t.Fatal(err)
		}
		got, ok := Unquote(quoted)
		if !ok || got != want || utf8.ValidString(s) && got != s {
			t.Errorf("%q → %s → %q, %v", s, quoted, got, ok)
		}
	})
}
