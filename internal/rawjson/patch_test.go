package rawjson

import (
	"errors"
	"strings"
	"testing"
)

func TestJSONPatch(t *testing.T) {
	for _, tt := range []struct{ target, patch, want string }{
		// The examples of RFC 6902, appendix A.
		{`{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux"}]`, `{"foo":"bar","baz":"qux"}`},
		{`{"foo":["bar","baz"]}`, `[{"op":"add","path":"/foo/1","value":"qux"}]`, `{"foo":["bar","qux","baz"]}`},
		{`{"baz":"qux","foo":"bar"}`, `[{"op":"remove","path":"/baz"}]`, `{"foo":"bar"}`},
		{`{"foo":["bar","qux","baz"]}`, `[{"op":"remove","path":"/foo/1"}]`, `{"foo":["bar","baz"]}`},
		{`{"baz":"qux","foo":"bar"}`, `[{"op":"replace","path":"/baz","value":"boo"}]`, `{"baz":"boo","foo":"bar"}`},
		{`{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`, `[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]`, `{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`},
		{`{"foo":["all","grass","cows","eat"]}`, `[{"op":"move","from":"/foo/1","path":"/foo/3"}]`, `{"foo":["all","cows","eat","grass"]}`},
		{`{"baz":"qux","foo":["a",2,"c"]}`, `[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]`, `{"baz":"qux","foo":["a",2,"c"]}`},
		{`{"foo":"bar"}`, `[{"op":"add","path":"/child","value":{"grandchild":{}}}]`, `{"foo":"bar","child":{"grandchild":{}}}`},
		{`{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux","xyz":123}]`, `{"foo":"bar","baz":"qux"}`},
		{`{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":10}]`, `{"/":9,"~1":10}`},
		{`{"foo":["bar"]}`, `[{"op":"add","path":"/foo/-","value":["abc","def"]}]`, `{"foo":["bar",["abc","def"]]}`},
		// Bytes.
		{" {\"a\" : 1.0, \"b\":[ 1e400 , -0 ]}\n", `[{"op":"add","path":"/b/0","value": null },{"op":"add","path":"/b/3","value":"\ud800"}]`, " {\"a\" : 1.0, \"b\":[ null , 1e400 , -0 , \"\\ud800\" ]}\n"},
		{"[\n  1\n]", `[{"op":"add","path":"/0","value":0},{"op":"add","path":"/-","value":2}]`, "[\n  0,\n  1,\n  2\n]"},
		{`[1]`, `[{"op":"add","path":"/1","value":2}]`, `[1,2]`},
		{`[ ]`, `[{"op":"add","path":"/-","value":{ }}]`, `[{ }]`},
		{`{"a":[]}`, `[{"op":"add","path":"/a/0","value":1}]`, `{"a":[1]}`},
		{`{"a":1,"b":2,"a":3}`, `[{"op":"replace","path":"/a","value":4}]`, `{"a":1,"b":2,"a":4}`},
		{`{"a":1,"b":2,"a":3}`, `[{"op":"add","path":"/a","value":4}]`, `{"a":1,"b":2,"a":4}`},
		{`{"a":1,"b":2,"a":3}`, `[{"op":"remove","path":"/a"}]`, `{"b":2}`},
		{`{"a":1,"b":2,"a":3}`, `[{"op":"move","from":"/a","path":"/c"}]`, `{"b":2,"c":3}`},
		{` {"a":1} `, `[{"op":"add","path":"","value":[1]},{"op":"copy","from":"/0","path":"/-"}]`, ` [1,1] `},
		{`{"a":{"b":1}}`, `[{"op":"copy","from":"","path":"/c"}]`, `{"a":{"b":1},"c":{"a":{"b":1}}}`},
		{`{"a":{"b":1}}`, `[{"op":"move","from":"/a/b","path":"/a"}]`, `{"a":1}`},
		{`{"a":1}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":1}`},
		{`{"a":1}`, `[{"op":"replace","path":"","value":null}]`, `null`},
		{`{"":{"":1}}`, `[{"op":"replace","path":"//","value":2}]`, `{"":{"":2}}`},
		{`{"a":1}`, ` [ ] `, `{"a":1}`},
		{`{"a":{"x":1.0,"y":[true,null,"\u0041"]}}`, `[{"op":"test","path":"/a","value":{"y":[true,null,"A"],"x":100e-2}}]`, `{"a":{"x":1.0,"y":[true,null,"\u0041"]}}`},
	} {
		got, err := JSONPatch([]byte(tt.target), []byte(tt.patch))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s + %s: %s, %v; want %s", tt.target, tt.patch, got, err, tt.want)
		}
	}
}

func TestJSONPatchErrors(t *testing.T) {
	const target = `{"a":1,"list":[1,2],"o":{"p":{}},"s":"x"}`
	for _, tt := range []struct {
		patch string
		want  PatchError
	}{
		{`[7]`, PatchError{Msg: "is not an object"}},
		{`[{"op":"add","value":1}]`, PatchError{Msg: `"path" is missing`}},
		{`[{"op":"add","path":"/a","value":1,"value":2}]`, PatchError{Msg: `"value" stands twice`}},
		{`[{"op":"remove","\u006fp":"remove","path":"/a"}]`, PatchError{Msg: `"op" stands twice`}},
		{`[{"op":"test","path":"/a","value":1},{"op":"remove","path":"/a","path":"/a"}]`, PatchError{Index: 1, Msg: `"path" stands twice`}},
		{`[{"op":"copy","path":"/b","from":"/a","from":null}]`, PatchError{Msg: `"from" stands twice`}},
		{`[{"op":"add","path":1,"value":1}]`, PatchError{Msg: `"path" is not a string of valid Unicode`}},
		{`[{"op":"add","path":"/\ud800","value":1}]`, PatchError{Msg: `"path" is not a string of valid Unicode`}},
		{`[{"op":"add","path":"a","value":1}]`, PatchError{Path: "a", Msg: `"path" ` + errBadPointer.Error()}},
		{`[{"op":"add","path":"/a~","value":1}]`, PatchError{Path: "/a~", Msg: `"path" ` + errBadPointer.Error()}},
		{`[{"op":"add","path":"/~0~2","value":1}]`, PatchError{Path: "/~0~2", Msg: `"path" ` + errBadPointer.Error()}},
		{`[{"path":"/a","value":1}]`, PatchError{Path: "/a", Msg: `"op" is none of add, remove, replace, move, copy, test`}},
		{`[{"op":"merge","path":"/a"}]`, PatchError{Path: "/a", Msg: `"op" is none of add, remove, replace, move, copy, test`}},
		{`[{"op":"add","path":"/a"}]`, PatchError{Op: "add", Path: "/a", Msg: `"value" is missing`}},
		{`[{"op":"copy","path":"/a"}]`, PatchError{Op: "copy", Path: "/a", Msg: `"from" is missing`}},
		{`[{"op":"add","path":"/b","value":1},{"op":"remove","path":"/x~1y"}]`, PatchError{Index: 1, Op: "remove", Path: "/x~1y", Msg: "does not exist"}},
		{`[{"op":"remove","path":""}]`, PatchError{Op: "remove", Msg: "the whole document cannot be removed"}},
		{`[{"op":"replace","path":"/b","value":1}]`, PatchError{Op: "replace", Path: "/b", Msg: "does not exist"}},
		{`[{"op":"add","path":"/b/c","value":1}]`, PatchError{Op: "add", Path: "/b", Msg: "does not exist"}},
		{`[{"op":"add","path":"/s/c","value":1}]`, PatchError{Op: "add", Path: "/s", Msg: "is neither an object nor an array"}},
		{`[{"op":"add","path":"/list/3","value":1}]`, PatchError{Op: "add", Path: "/list/3", Msg: "is not an index of the array, nor its end"}},
		{`[{"op":"add","path":"/list/01","value":1}]`, PatchError{Op: "add", Path: "/list/01", Msg: "is not an index of the array, nor its end"}},
		{`[{"op":"remove","path":"/b/c"}]`, PatchError{Op: "remove", Path: "/b", Msg: "does not exist"}},
		{`[{"op":"move","from":"","path":""},{"op":"remove","path":"/list/-"}]`, PatchError{Index: 1, Op: "remove", Path: "/list/-", Msg: "does not exist"}},
		{`[{"op":"remove","path":"/list/+1"}]`, PatchError{Op: "remove", Path: "/list/+1", Msg: "does not exist"}},
		{`[{"op":"remove","path":"/list/2"}]`, PatchError{Op: "remove", Path: "/list/2", Msg: "does not exist"}},
		{`[{"op":"remove","path":"/list/99999999999999999999"}]`, PatchError{Op: "remove", Path: "/list/99999999999999999999", Msg: "does not exist"}},
		{`[{"op":"move","from":"/x","path":"/y"}]`, PatchError{Op: "move", Path: "/x", Msg: "does not exist"}},
		{`[{"op":"copy","from":"/x","path":"/y"}]`, PatchError{Op: "copy", Path: "/x", Msg: "does not exist"}},
		{`[{"op":"move","from":"","path":"/y"}]`, PatchError{Op: "move", Path: "/y", Msg: `is inside of "from"`}},
		{`[{"op":"move","from":"/o","path":"/o/p/q"}]`, PatchError{Op: "move", Path: "/o/p/q", Msg: `is inside of "from"`}},
		{`[{"op":"move","from":"/a","path":"/x/y"}]`, PatchError{Op: "move", Path: "/x", Msg: "does not exist"}},
		{`[{"op":"test","path":"/a","value":2}]`, PatchError{Op: "test", Path: "/a", Msg: "test failed: has another value", err: ErrTestFailed}},
		{`[{"op":"test","path":"/x","value":null}]`, PatchError{Op: "test", Path: "/x", Msg: "test failed: does not exist", err: ErrTestFailed}},
	} {
		got, err := JSONPatch([]byte(target), []byte(tt.patch))
		var e *PatchError
		if got != nil || !errors.As(err, &e) || *e != tt.want {
			t.Errorf("%s: %s, %#v", tt.patch, got, err)
		}
		if errors.Is(err, ErrTestFailed) != (tt.want.err != nil) {
			t.Errorf("%s: %v", tt.patch, err)
		}
	}
	for patch, want := range map[string]string{
		`{}`: "patch: ", `[`: "patch: ", `[{"op":"remove","path":"/x"}]`: `patch operation 0: remove "/x": does not exist`, `[{"path":"/a"}]`: `patch operation 0: operation "/a"`,
	} {
		if _, err := JSONPatch([]byte(target), []byte(patch)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", patch, err)
		}
	}
	if _, err := JSONPatch([]byte(`{"a"}`), []byte(`[]`)); err == nil || !strings.HasPrefix(err.Error(), "target: ") {
		t.Errorf("target: %v", err)
	}
}

func TestJSONPatchLimits(t *testing.T) {
	bomb := "[" + strings.Repeat(`{"op":"copy","from":"","path":"/-"},`, 40) + `{"op":"test","path":"/0","value":1}]`
	if _, err := JSONPatch([]byte(`["`+strings.Repeat("x", 1000)+`"]`), []byte(bomb)); err == nil || !strings.Contains(err.Error(), "copies too much") {
		t.Errorf("copies: %v", err)
	}
	deep := string(nested(MaxDepth))
	for _, op := range []string{`"add","path":"/a"`, `"replace","path":"/x"`, `"add","path":"/x"`} {
		if _, err := JSONPatch([]byte(`{"x":1}`), []byte(`[{"op":`+op+`,"value":`+deep[6:len(deep)-2]+`}]`)); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	target := []byte(`{"x":{"y":{"z":1}},"deep":` + deep[6:len(deep)-2] + `}`)
	for _, op := range []string{`{"op":"move","from":"/deep","path":"/x/y/z"}`, `{"op":"copy","from":"/deep","path":"/x/y/n"}`, `{"op":"replace","path":"/x/y/z","value":` + deep[6:len(deep)-2] + `}`} {
		if _, err := JSONPatch(target, []byte(`[`+op+`]`)); err == nil {
			t.Errorf("%.40s: the document became too deep", op)
		}
	}
}

// FuzzJSONPatch: a result is valid, and its value is what a test for it says.
func FuzzJSONPatch(f *testing.F) {
	f.Add([]byte(`{"a":[1, 2],"b":{}}`), "add", "/a/1", "", []byte(`{}`))
	f.Add([]byte(`{"a":1,"a":2}`), "remove", "/a", "", []byte(`1`))
	f.Add([]byte("[\n 1,\n 2\n]"), "move", "/0", "/1", []byte(`1`))
	f.Add([]byte(`{"~":"\ud800"}`), "copy", "/x~1", "/~0", []byte(`1`))
	f.Add([]byte(` {"":1.0}`), "replace", "/", "/", []byte(`1e400`))
	f.Fuzz(func(t *testing.T, target []byte, op, path, from string, value []byte) {
		if Valid(value) != nil {
			return // it could add members to the operation
		}
		head := `[{"op":` + string(Quote(op)) + `,"from":` + string(Quote(from)) + `,"path":` + string(Quote(path)) + `,"value":`
		got, err := JSONPatch(target, []byte(head+string(value)+`}]`))
		if err != nil {
			return
		}
		if err := Valid(got); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if op == "replace" || op == "add" && !strings.HasSuffix(path, "-") {
			test := strings.Replace(head, op, "test", 1)
			if _, err := JSONPatch(got, []byte(test+string(value)+`}]`)); err != nil {
				t.Fatalf("%s: %v", got, err)
			}
		}
	})
}
