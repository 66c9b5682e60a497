package poolkeeper_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
)

// wireSnapshot has something of everything, with bytes that no string of JSON
// can hold.
func wireSnapshot() *poolkeeper.Snapshot {
	raw := string([]byte{0, 0xff, '"', '\n', 0xed, 0xa0, 0x80})
	s := poolkeeper.NewSnapshot()
	s.Meta["epoch"], s.Meta["odd"] = "e", raw
	one := poolkeeper.Revision{Number: 1, Writer: "w", Seq: 2}
	p := &poolkeeper.Pool{Type: "", Revision: one, Structure: poolkeeper.Revision{Number: 3, Writer: "x", Seq: 4}}
	for i, id := range []string{"a", "", "~x", "名前\u2028<&>"} {
		one := poolkeeper.Provider{Ref: poolkeeper.Ref{ID: id}, Definition: []byte(`{ "n": 1.0, "raw": "` + raw + `" }`)}
		if i > 0 {
			one.State.Set(poolkeeper.LastErrorMessage, "\"\xff\\ud800<\"")
			one.State.Set(poolkeeper.UsageCount, "9223372036854775807")
			one.State.Set(poolkeeper.LastUsed, poolkeeper.Absent)
			one.State.DecidedAt = int64(i)
		}
		p.Providers = append(p.Providers, one)
	}
	s.AddPool(p)
	s.AddPool(&poolkeeper.Pool{Type: "empty"})
	s.Pools["unlisted"] = &poolkeeper.Pool{Type: "unlisted"}
	s.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(raw), Revision: one}
	s.Values[poolkeeper.FileKey("a/b")] = poolkeeper.Document{}
	s.Values[poolkeeper.SessionKey("x")] = poolkeeper.Document{Data: []byte("{}"), ExpiresAt: 7}
	s.Aliases[poolkeeper.Ref{ID: "old"}] = "a"
	return s
}

func encodeSnapshot(t *testing.T, s *poolkeeper.Snapshot) string {
	t.Helper()
	var b bytes.Buffer
	if err := poolkeeper.EncodeSnapshot(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSnapshotEncoding(t *testing.T) {
	for _, s := range []*poolkeeper.Snapshot{wireSnapshot(), poolkeeper.NewSnapshot()} {
		text := encodeSnapshot(t, s)
		got, err := poolkeeper.DecodeSnapshot(iotest.OneByteReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		for key, d := range got.Values {
			if len(d.Data) == 0 {
				d.Data = nil
				got.Values[key] = d
			}
		}
		if d := cmp.Diff(s, got, cmp.AllowUnexported(poolkeeper.State{})); d != "" {
			t.Error(d)
		}
		if again := encodeSnapshot(t, got); again != text {
			t.Errorf("encoded again:\n%s\nfirst:\n%s", again, text)
		}
	}
	if text := encodeSnapshot(t, nil); text != "{\"snapshot\":1}\n{\"end\":0}\n" {
		t.Errorf("of nothing: %s", text)
	}
	s := poolkeeper.NewSnapshot()
	s.Values[poolkeeper.FileKey("\xff")] = poolkeeper.Document{}
	if err := poolkeeper.EncodeSnapshot(io.Discard, s); !errors.Is(err, poolkeeper.ErrInvalid) {
		t.Errorf("a name that is not UTF-8: %v", err)
	}
}

// TestSnapshotCutOff: no part of an encoded snapshot passes for a whole one.
func TestSnapshotCutOff(t *testing.T) {
	text := strings.TrimRight(encodeSnapshot(t, wireSnapshot()), "\n")
	for n := range len(text) {
		if _, err := poolkeeper.DecodeSnapshot(strings.NewReader(text[:n])); !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(text), err)
		}
	}
	lines := strings.SplitAfter(text, "\n")
	for i := range lines {
		less := strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "")
		if _, err := poolkeeper.DecodeSnapshot(strings.NewReader(less)); !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Errorf("without line %d: %v", i+1, err)
		}
	}
	broken := errors.New("broken")
	in := io.MultiReader(strings.NewReader(text[:100]), iotest.ErrReader(broken))
	if _, err := poolkeeper.DecodeSnapshot(in); err != broken {
		t.Errorf("a reader that fails: %v", err)
	}
}

func TestSnapshotRefused(t *testing.T) {
	const first, end0, end1 = `{"snapshot":1}`, `{"end":0}`, `{"end":1}`
	for _, lines := range [][]string{
		{end0}, {`{"snapshot":2}`, end0}, {`{}`, end0}, {first, first, end1}, {first, `{}`, end1},
		{first, end1}, {first, end0, `{}`}, {first, `{"more":1}`, end1}, {first, `{"provider":"a"}`, end1},
		{first, `{"types":["a"],"pool":"a"}`, end1}, {first, `{"types":["a"]}`, `{"types":["a"]}`, `{"end":2}`},
		{first, `{"pool":"a"}`, `{"pool":"a"}`, `{"end":2}`}, {first, `{"pool":"a","revision":"x"}`, end1},
		{first, `{"pool":"a"}`, `{"meta":"m"}`, `{"provider":"p"}`, `{"end":3}`},
		{first, `{"pool":"a"}`, `{"provider":"p","state":{"fields":{"nothing":"1"}}}`, `{"end":2}`},
		{first, `{"pool":"a"}`, `{"provider":"p","state":{"fields":{"usageCount":"1"},"bytes":{"usageCount":"MQ=="}}}`, `{"end":2}`},
		{first, `{"value":{"kind":"config","more":1}}`, end1}, {first, `{"value":{"kind":"config"},"data":"%"}`, end1},
		{first, `{"value":{"kind":"config"}}`, `{"value":{"kind":"config"}}`, `{"end":2}`},
		{`null`}, {`[]`}, {first, `null`, end1},
	} {
		if _, err := poolkeeper.DecodeSnapshot(strings.NewReader(strings.Join(lines, "\n"))); !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Errorf("%q: %v", lines, err)
		}
	}
}

// FuzzDecodeSnapshot: what can be read is written as it was meant.
func FuzzDecodeSnapshot(f *testing.F) {
	var b bytes.Buffer
	if err := poolkeeper.EncodeSnapshot(&b, wireSnapshot()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := poolkeeper.DecodeSnapshot(bytes.NewReader(data))
		if err != nil {
			return
		}
		text := encodeSnapshot(t, s)
		again, err := poolkeeper.DecodeSnapshot(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if encodeSnapshot(t, again) != text {
			t.Errorf("%s", text)
		}
	})
}

func TestResultEncoding(t *testing.T) {
	results := []poolkeeper.Result{
		{Status: poolkeeper.Applied, Revision: poolkeeper.Revision{Number: 1, Writer: "w", Seq: 2}, ID: "a", Count: -7, Healthy: true, Changed: true},
		{Status: poolkeeper.Queued},
	}
	for _, r := range results {
		b, err := r.MarshalJSON()
		var got poolkeeper.Result
		if err == nil {
			err = got.UnmarshalJSON(b)
		}
		if err != nil || got != r {
			t.Errorf("%+v became %+v, error %v", r, got, err)
		}
	}
	for _, class := range poolkeeper.ErrorClasses() {
		for _, err := range []error{class.Err, &poolkeeper.Error{Action: "act", Key: "on", Detail: "a \"detail\"", Hint: "do", Err: class.Err}, fmt.Errorf("wrapped: %w", class.Err)} {
			b, _ := poolkeeper.Result{Err: err}.MarshalJSON()
			var got poolkeeper.Result
			if e := got.UnmarshalJSON(b); e != nil || poolkeeper.ClassOf(got.Err) != class {
				t.Errorf("%v became %v, error %v", err, got.Err, e)
			}
			if _, ok := err.(*poolkeeper.Error); ok && class.Code != "internal" && got.Err.Error() != err.Error() {
				t.Errorf("%v became %v", err, got.Err)
			}
		}
	}
	b, _ := poolkeeper.Result{Err: errors.New("FAKE-inside")}.MarshalJSON()
	if strings.Contains(string(b), "FAKE") {
		t.Errorf("a fault of our own says %s", b)
	}
	var r poolkeeper.Result
	if err := r.UnmarshalJSON([]byte(`{"error":{"code":"new"}}`)); err != nil || !errors.Is(r.Err, poolkeeper.ErrInternal) {
		t.Errorf("an unknown code: %v, %v", r.Err, err)
	}
	for _, text := range []string{`{"more":1}`, `{"revision":"x"}`, `[]`} {
		if err := r.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
