package rawjson

import "testing"

func TestDiffTokens(t *testing.T) {
	for _, tt := range []struct {
		a, b, path string
		offset     int
	}{
		{`{"a":1}`, " {\n\"a\" : 1 } ", "", -1},
		{`[1.0]`, `[1]`, "/0", 1},
		{`["A"]`, `["\u0041"]`, "/0", 1},
		{`{"a":[1,2,{"b":"x"}]}`, `{"a":[1,2,{"b":"y"}]}`, "/a/2/b", 15},
		{`{"a":1,"b":2}`, `{"a":1,"c":2}`, "/b", 7},
		{`{"a":1}`, `{"a":1,"b":2}`, "", 6},
		{`{"x":{"a":1,"b":2}}`, `{"x":{"a":1}}`, "/x", 11},
		{`{"x":[1,2],"y":3}`, `{"x":[1],"y":3}`, "/x", 7},
		{`{"x":[],"y":3}`, `{"x":[1],"y":3}`, "/x", 6},
		{`{"x":[],"y":3}`, `{"x":[],"y":4}`, "/y", 12},
		{`{"x":{}}`, `{"x":[]}`, "/x", 5},
		{`{}`, `{"x":[]}`, "", 1},
		{`{"a":"s","b":["s","t"]}`, `{"a":"s","b":["s","u"]}`, "/b/1", 18},
		{`{"~/":1}`, `{"~/":2}`, "/~0~1", 6},
		{`{"\ud800":1}`, `{"\ud800":2}`, "/\ufffd", 10},
		{`1`, `2`, "", 0},
		{`1`, `1 1`, "", 1},
		{` `, `1`, "", 1},
	} {
		path, offset := DiffTokens([]byte(tt.a), []byte(tt.b))
		if path != tt.path || offset != tt.offset {
			t.Errorf("%s, %s: %q, %d; want %q, %d", tt.a, tt.b, path, offset, tt.path, tt.offset)
		}
		if got := EqualTokens([]byte(tt.a), []byte(tt.b)); got != (tt.offset < 0) {
			t.Errorf("%s, %s: equal is %v", tt.a, tt.b, got)
		}
	}
}

func TestEqual(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{`1`, `1.00`, true},
		{`-0`, `0.0e7`, true},
		{`100`, `1E+2`, true},
		{`0.001`, `1e-3`, true},
		{`1e400`, `10e399`, true},
		{`1e400`, `1e401`, false},
		{`0`, `1`, false},
		{`1`, `0`, false},
		{`1`, `-1`, false},
		{`9007199254740993`, `9007199254740992`, false},
		{`1e99999999999999999999999`, `10e99999999999999999999998`, true},
		{`"\ud800"`, `"\uD800"`, true},
		{`"\ud800"`, `"\ud801"`, false},
		{`"1"`, `1`, false},
		{`true`, `false`, false},
		{`null`, `null`, true},
		{`{"a":1,"b":[2]}`, `{"b":[2.0],"\u0061":1}`, true},
		{`{"a":1,"a":2}`, `{"a":2}`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1}`, `{"b":1}`, false},
		{`{"a":null}`, `{"b":null}`, false},
		{`[1,2]`, `[2,1]`, false},
		{`[1,2]`, `[1]`, false},
		{`[]`, `{}`, false},
	} {
		a, errA := parse([]byte(tt.a))
		b, errB := parse([]byte(tt.b))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if got := equal(a, 0, b, 0); got != tt.want {
			t.Errorf("%s, %s: %v", tt.a, tt.b, got)
		}
	}
}
