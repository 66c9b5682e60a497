package snapshot

import (
	"bytes"
	"math"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// wide is a snapshot of a part, with names and bytes that may be anything.
func wide() *poolkeeper.Snapshot {
	raw := string([]byte{0, 0xff, '"', '\n', 0xed, 0xa0, 0x80})
	s := poolkeeper.NewSnapshot()
	s.Meta["epoch"], s.Meta[""] = "e", raw
	for _, typ := range []string{"", raw, "t"} {
		p := &poolkeeper.Pool{Type: typ}
		for i, id := range []string{"a", raw, "名前"} {
			one := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: typ, ID: id}, Definition: []byte(`{"raw":"` + raw + `"}`)}
			for f := range poolkeeper.Field(poolkeeper.NumFields) {
				if int(f)%3 == i {
					one.State.Set(f, []string{poolkeeper.Absent, `"` + raw + `"`, "9223372036854775807"}[int(f)/3%3])
				}
			}
			one.State.DecidedAt = []int64{0, -1, math.MaxInt64}[i]
			p.Providers = append(p.Providers, one)
		}
		s.AddPool(p)
	}
	s.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(raw), Revision: poolkeeper.Revision{Number: math.MaxUint64, Writer: "w", Seq: math.MaxUint64}}
	s.Values[poolkeeper.DocumentKey(raw)] = poolkeeper.Document{Data: []byte{}}
	s.Values[poolkeeper.SessionKey("x")] = poolkeeper.Document{Data: bytes.Repeat([]byte("{}"), 100), ExpiresAt: 7}
	s.Aliases[poolkeeper.Ref{ID: "old"}] = raw
	s.Aliases[poolkeeper.Ref{ID: "older"}] = "a"
	return s
}

// TestSections: a section is read as it was written, and is the same for the same
// state; what was cut off anywhere, or goes on, is none.
func TestSections(t *testing.T) {
	data := encodeSection(wide())
	for range 5 {
		if !bytes.Equal(encodeSection(wide()), data) {
			t.Fatal("the same state has another section")
		}
	}
	got, err := decodeSection(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encodeSection(got), data) {
		t.Error("what was read is another state")
	}
	for i, want := range wide().Pools[""].Providers {
		if p := got.Pools[""].Providers[i]; p.State != want.State || p.ID != want.ID || !bytes.Equal(p.Definition, want.Definition) {
			t.Errorf("provider %d: %+v", i, p)
		}
	}
	for k, want := range wide().Values {
		if d := got.Values[k]; d.Data == nil || !bytes.Equal(d.Data, want.Data) || d.Revision != want.Revision || d.ExpiresAt != want.ExpiresAt {
			t.Errorf("%v: %+v", k, d)
		}
	}
	for n := range data {
		if _, err := decodeSection(data[:n]); err == nil {
			t.Errorf("cut off at %d of %d, it is read", n, len(data))
		}
	}
	if _, err := decodeSection(append(bytes.Clone(data), 0)); err == nil {
		t.Error("something stands after the end, and it is read")
	}
	clear(data)
	if !bytes.Equal(got.Pools["t"].Providers[0].Definition, wide().Pools["t"].Providers[0].Definition) {
		t.Error("what was read is no copy")
	}
}

// FuzzSection: whatever a section holds, it is read as one or refused.
func FuzzSection(f *testing.F) {
	f.Add(encodeSection(wide()))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeSection(data)
		if err != nil {
			return
		}
		again, err := decodeSection(encodeSection(s))
		if err != nil || !bytes.Equal(encodeSection(again), encodeSection(s)) {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
