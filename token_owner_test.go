package poolkeeper_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// An owner is read as the JSON that it is, however it is written.
func TestTokenOwner(t *testing.T) {
	for _, r := range []poolkeeper.Ref{{Type: "t", ID: "1"}, {ID: "x"}, {Type: `a","b`, ID: `"`}, {Type: "ä\\", ID: "\x01\n"}, {Type: "<&>", ID: " ~q.2 "}} {
		if got, err := poolkeeper.DecodeTokenOwner(poolkeeper.EncodeTokenOwner(r)); err != nil || got != r {
			t.Errorf("%q became %q, %v", r, got, err)
		}
	}
	for _, s := range []string{
		`["t","1"]`, ` [ "t" , "1" ] `, `["t","1","2"]`, `["t"]`, `["]`, `["t","1]`, `["t",1]`, `["a"b","1"]`, `["a","b"c"]`, `["a","1"] x`, `["a",""]`,
		`["\u0074","1"]`, `["t" ,"1"]`, `[]`, ``, `["","",""]`, `["","]`, `"t","1"`, "[\"t\",\"1\x7f\"]",
	} {
		var pair []string
		want := json.Unmarshal([]byte(s), &pair) == nil && len(pair) == 2 && pair[1] != ""
		r, err := poolkeeper.DecodeTokenOwner([]byte(s))
		if want != (err == nil) || err == nil && (r.Type != pair[0] || r.ID != pair[1]) || err != nil && !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Errorf("%s: %q, %v; want %q", s, r, err, pair)
		}
	}
}
