package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// results reads the answer to ops.
func results(t *testing.T, a answer) []poolkeeper.Result {
	t.Helper()
	var rs []poolkeeper.Result
	if err := json.Unmarshal([]byte(a.body), &rs); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return rs
}

// TestOps: each op has its result in its place, and one that is refused keeps
// none of the others from being applied.
func TestOps(t *testing.T) {
	s := start(t)
	const key = `"key":{"kind":"pool","type":"t"}`
	rs := results(t, s.want(200, "POST", "/ops", `[
		{"kind":"provider.add",`+key+`,"id":"a","data":"eyJ1dWlkIjoiYSJ9"},
		{"kind":"usage",`+key+`,"id":"a","n":3},
		{"kind":"usage",`+key+`,"id":"b","n":3},
		{"kind":"usage",`+key+`,"id":"a"},
		{"kind":"explode",`+key+`,"id":"a"},
		{"kind":"put","key":{"kind":"file","name":"f"},"data":"AP8="},
		{"kind":"usage",`+key+`,"id":"a","n":1}]`))
	for i, want := range []string{"", "", "not-found", "invalid", "invalid", "", ""} {
		code := ""
		if rs[i].Err != nil {
			code = poolkeeper.ClassOf(rs[i].Err).Code
		}
		equal(t, fmt.Sprintf("op %d", i), code, want)
	}
	if rs[1].Count != 3 || rs[6].Count != 4 || rs[6].Status != poolkeeper.Applied || !rs[6].Changed {
		t.Errorf("%+v", rs)
	}
	f, err := s.store.File(t.Context(), "f")
	if err != nil || string(f.Data) != "\x00\xff" {
		t.Errorf("%q, %v", f.Data, err)
	}
	// The time of an op that has none is now.
	p, err := s.store.Provider(t.Context(), poolkeeper.Ref{Type: "t", ID: "a"})
	if err != nil || !strings.HasPrefix(p.Literal(poolkeeper.LastUsed), `"2`) {
		t.Errorf("%v %v", p, err)
	}
	equal(t, "no ops", s.want(200, "POST", "/ops", "[]").body, "[]\n")
}

// TestOpsRefused: what cannot be read as ops changes nothing at all.
func TestOpsRefused(t *testing.T) {
	s := start(t)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	before := s.state()
	const use = `{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1}`
	for _, c := range []struct {
		status        int
		body, pointer string
	}{
		{400, "", ""}, {400, "{}", ""}, {400, use, ""}, {400, "[" + use, ""}, {400, "[" + use + ",]", ""}, {400, "[" + use + "] x", ""},
		{400, "[" + use + `,{"kind":"usage","more":1}]`, "#/1"}, {400, "[" + use + `,{}]`, "#/1"}, {400, "[" + use + `,null]`, "#/1"},
		{400, "[" + use + `,{"kind":"usage","n":"1"}]`, "#/1"}, {400, "[" + use + `,{"kind":"usage","n":1.5}]`, "#/1"},
		{400, "[" + use + `,{"kind":"put","data":"%"}]`, "#/1"}, {400, "[" + use + `,{"kind":"put","key":{"kind":"file","path":"x"}}]`, "#/1"},
		{413, "[" + strings.Repeat(use+",", maxOps) + use + "]", ""},
		{413, `["` + strings.Repeat("x", maxOpsBody) + `"]`, ""},
	} {
		a := s.want(c.status, "POST", "/ops", c.body)
		if c.pointer != "" && !strings.Contains(a.body, c.pointer) {
			t.Errorf("%.80s: %s", c.body, a.body)
		}
	}
	s.want(415, "POST", "/ops", "["+use+"]", "Content-Type", "text/plain")
	s.want(400, "POST", "/ops", "["+use+"]", "If-Match", "*")
	equal(t, "state", s.state(), before)
	if n := len(results(t, s.want(200, "POST", "/ops", "["+strings.Repeat(use+",", maxOps-1)+use+"]"))); n != maxOps {
		t.Errorf("%d results", n)
	}
}

// broken is a backend with a fault of its own.
type broken struct{ poolkeeper.Backend }

func (broken) Apply(context.Context, ...poolkeeper.Op) []poolkeeper.Result {
	return []poolkeeper.Result{{Err: errors.New("FAKE-inside")}}
}

// TestOpsSayNothingOfFaults: what is wrong inside is logged, and not answered.
func TestOpsSayNothingOfFaults(t *testing.T) {
	s := startOver(t, poolkeeper.New(broken{memstore.New(nil)}, nil))
	a := s.want(200, "POST", "/ops", `[{"kind":"delete","key":{"kind":"config"}}]`)
	equal(t, "results", a.body, "[{\"error\":{\"code\":\"internal\"}}]\n")
	if !strings.Contains(s.log.String(), "FAKE-inside") {
		t.Errorf("log: %s", s.log)
	}
}

func TestLoad(t *testing.T) {
	s := start(t)
	s.want(200, "PUT", "/config", ` {"a": 1.0}`)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	s.want(200, "POST", "/pools/t/a/usage", "")
	for body, want := range map[string]func(*poolkeeper.Snapshot) bool{
		"[]": func(n *poolkeeper.Snapshot) bool {
			return len(n.Values) == 1 && len(n.Types) == 1 && n.Meta["epoch"] != ""
		},
		`[{"kind":"config"}]`: func(n *poolkeeper.Snapshot) bool { return len(n.Values) == 1 && len(n.Pools) == 0 },
		`[{"kind":"provider","type":"t","name":"a"},{"kind":"file"}]`: func(n *poolkeeper.Snapshot) bool {
			p := n.Provider(poolkeeper.Ref{Type: "t", ID: "a"})
			return p != nil && p.Count(poolkeeper.UsageCount) == 1 && len(n.Values) == 0
		},
	} {
		a := s.want(200, "POST", "/load", body)
		equal(t, "content type", a.header.Get("Content-Type"), typeLines)
		snap, err := poolkeeper.DecodeSnapshot(strings.NewReader(a.body))
		if err != nil || !want(snap) {
			t.Errorf("%s: %v\n%s", body, err, a.body)
		}
	}
	for _, body := range []string{"", "{}", `[{"kind":"explode"}]`, `[{"kind":"config","more":1}]`, `["config"]`, `[{"kind":"config"}`} {
		s.want(400, "POST", "/load", body)
	}
	s.want(413, "POST", "/load", "["+strings.Repeat(" ", maxKeysBody)+"]")
}

// TestLoadCutOff: a snapshot that cannot be sent whole does not look like one.
func TestLoadCutOff(t *testing.T) {
	b := memstore.New(nil)
	snap := poolkeeper.NewSnapshot()
	snap.Meta["\xff"] = "no name that can be encoded"
	if err := b.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	s := startOver(t, poolkeeper.New(b, nil))
	_, body, err := s.try("POST", base+"/load", "[]")
	if err == nil {
		t.Errorf("it was taken for whole: %q", body)
	}
}

func TestRestore(t *testing.T) {
	st := poolkeeper.New(memstore.New(nil), nil)
	s := startOver(t, st)
	snap := poolkeeper.NewSnapshot()
	snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte("\xff")}
	var b bytes.Buffer
	if err := poolkeeper.EncodeSnapshot(&b, snap); err != nil {
		t.Fatal(err)
	}
	s.want(415, "POST", "/restore", b.String())
	for _, body := range []string{"", "{}", b.String() + "{}", b.String()[:b.Len()-4]} {
		s.want(400, "POST", "/restore", body, "Content-Type", typeLines)
	}
	if _, err := st.Types(t.Context()); poolkeeper.ClassOf(err).Code != "uninitialized" {
		t.Errorf("after refused ones: %v", err)
	}
	s.want(200, "POST", "/restore", b.String(), "Content-Type", typeLines)
	if d, err := st.Config(t.Context()); err != nil || string(d.Data) != "\xff" {
		t.Errorf("%q, %v", d.Data, err)
	}
	s.want(409, "POST", "/restore", b.String(), "Content-Type", typeLines)
}

// TestFormsAreDescribed: what the OpenAPI document says of ops, keys and results
// is what the root package reads and writes.
func TestFormsAreDescribed(t *testing.T) {
	names := func(typ reflect.Type) (out []string) {
		for i := range typ.NumField() {
			out = append(out, typ.Field(i).Tag.Get("json"))
		}
		return out
	}
	same := func(what string, a, b []string) { equal(t, what, strings.Join(a, "\n"), strings.Join(b, "\n")) }
	same("op", names(reflect.TypeFor[opBody]()), names(reflect.TypeFor[poolkeeper.Op]()))
	same("key", names(reflect.TypeFor[keyBody]()), names(reflect.TypeFor[poolkeeper.Key]()))
	for _, r := range []poolkeeper.Result{
		{Status: poolkeeper.Applied, Revision: poolkeeper.Revision{Number: 1}, ID: "a", Count: 1, Healthy: true, Changed: true},
		{Err: &poolkeeper.Error{Action: "a", Key: "k", Detail: "d", Hint: "h", Err: poolkeeper.ErrConflict}},
	} {
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var described opResult
		dec := json.NewDecoder(bytes.NewReader(want))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&described); err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(described)
		equal(t, "result", string(got), string(want))
	}
}
