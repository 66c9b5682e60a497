package memstore

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestPatchBesideOthers: while a patch is computed others go on, and what they do
// to its target is not lost; what they take away is not patched.
func TestPatchBesideOthers(t *testing.T) {
	key := poolkeeper.PoolKey("t")
	put := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.ConfigKey, Data: []byte(`{}`)}
	add := poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: key, ID: "a", Data: []byte(`{"uuid":"a"}`)}
	for _, tt := range []struct {
		name          string
		first, patch  poolkeeper.Op
		between, want string
		drop          poolkeeper.Op
	}{
		{name: "provider", first: add, patch: poolkeeper.Op{Kind: poolkeeper.OpPatchProvider, Key: key, ID: "a"},
			want: `{"uuid":"a","theirs":1,"ours":2}`, drop: poolkeeper.Op{Kind: poolkeeper.OpDeleteProvider, Key: key, ID: "a"}},
		{name: "value", first: put, patch: poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: poolkeeper.ConfigKey},
			want: `{"theirs":1,"ours":2}`, drop: poolkeeper.Op{Kind: poolkeeper.OpDelete, Key: poolkeeper.ConfigKey}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := opened(t)
			stored := func() string {
				snap, err := s.Load(t.Context(), tt.first.Key)
				if err != nil {
					t.Fatal(err)
				}
				if p := snap.Pools["t"]; p != nil {
					return string(p.Providers[0].Definition)
				}
				return string(snap.Values[tt.first.Key].Data)
			}
			patch := func(name string, value int) poolkeeper.Op {
				op := tt.patch
				op.Patch, op.Data = poolkeeper.JSONPatch, []byte(`[{"op":"add","path":"/`+name+`","value":`+strconv.Itoa(value)+`}]`)
				return op
			}
			between := func(op poolkeeper.Op) {
				s.drafted = func() {
					s.drafted = nil
					if r := s.Apply(t.Context(), op)[0]; r.Err != nil {
						t.Error(r.Err)
					}
				}
			}
			between(tt.first) // what is there by its turn is patched, though it was not there before
			if r := s.Apply(t.Context(), patch("theirs", 0))[0]; r.Err != nil {
				t.Fatal(r.Err)
			}
			between(patch("theirs", 1))
			if r := s.Apply(t.Context(), patch("ours", 2))[0]; r.Err != nil || stored() != tt.want {
				t.Errorf("%s, %v; want %s", stored(), r.Err, tt.want)
			}
			conditional := patch("ours", 3)
			conditional.If = poolkeeper.If(poolkeeper.ETag([]byte(tt.want)))
			between(patch("theirs", 4))
			if r := s.Apply(t.Context(), conditional)[0]; !errors.Is(r.Err, poolkeeper.ErrConflict) {
				t.Errorf("of another version: %v", r.Err)
			}
			between(tt.drop)
			if r := s.Apply(t.Context(), patch("ours", 5))[0]; !errors.Is(r.Err, poolkeeper.ErrNotFound) {
				t.Errorf("of nothing: %v", r.Err)
			}
		})
	}
}

// TestPatchEndsWithItsCaller: a patch whose caller goes while it is computed is not
// applied.
func TestPatchEndsWithItsCaller(t *testing.T) {
	s, _ := opened(t)
	put := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.ConfigKey, Data: []byte(`{"a":1}`)}
	patch := poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: put.Key, Patch: poolkeeper.JSONPatch, Data: []byte(`[{"op":"replace","path":"/a","value":2}]`)}
	ctx, cancel := context.WithCancel(t.Context())
	s.Apply(ctx, put)
	s.drafted = func() { // what it builds on has changed, so it is computed again
		cancel()
		s.drafted = nil
		s.Apply(t.Context(), poolkeeper.Op{Kind: poolkeeper.OpPut, Key: put.Key, Data: []byte(`{"a":3}`)})
	}
	if r := s.Apply(ctx, patch)[0]; r.Err != context.Canceled {
		t.Errorf("%+v", r)
	}
	if got := string(s.values[put.Key.Kind].get(put.Key).Data); got != `{"a":3}` {
		t.Errorf("it was applied: %s", got)
	}
}

// TestDraftIsUsed: what was computed before its turn is not computed again, and
// a commit does without it.
func TestDraftIsUsed(t *testing.T) {
	s, _ := opened(t)
	put := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.ConfigKey, Data: []byte(`{"a":1}`)}
	s.Commit(&put, 1, "w", nil)
	op := poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: put.Key, Patch: poolkeeper.MergePatch, Data: []byte(`{"a":2}`)}
	d := s.Draft(t.Context(), &op, s.millis)
	d.to = []byte(`{"a":"of the draft"}`)
	s.Check(&op, 2, d)
	if s.Commit(&op, 2, "w", d); d.Stale() || !bytes.Contains(s.values[put.Key.Kind].get(put.Key).Data, []byte("draft")) {
		t.Errorf("stale %v: %s", d.Stale(), s.values[put.Key.Kind].get(put.Key).Data)
	}
	if r := s.Check(&op, 3, d); !d.Stale() || r.Err == nil {
		t.Errorf("a draft of other bytes is not stale: %v", r.Err)
	}
	if r := s.Commit(&op, 3, "w", d); r.Err != nil || string(s.values[put.Key.Kind].get(put.Key).Data) != `{"a":2}` {
		t.Errorf("committed with a stale draft: %v, %s", r.Err, s.values[put.Key.Kind].get(put.Key).Data)
	}
}

// BenchmarkUsageBesidePatches counts while another client patches a big document
// as expensively as it may.
func BenchmarkUsageBesidePatches(b *testing.B) {
	s := New(nil)
	if err := s.Restore(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	one := `{"op":"test","path":"/b","value":1},`
	ops := []poolkeeper.Op{
		{Kind: poolkeeper.OpAddProvider, Key: poolkeeper.PoolKey("t"), ID: "a", Data: []byte(`{"uuid":"a"}`)},
		{Kind: poolkeeper.OpPut, Key: poolkeeper.ConfigKey, Data: []byte(`{"b":1,"a":[` + strings.Repeat(`1,`, 1<<19) + `1]}`)},
	}
	for _, r := range s.Apply(b.Context(), ops...) {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	patch := poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: poolkeeper.ConfigKey, Patch: poolkeeper.JSONPatch,
		Data: []byte("[" + strings.Repeat(one, 99) + `{"op":"add","path":"/a/0","value":1},{"op":"remove","path":"/a/0"}]`)}
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				done <- n
				return
			default:
			}
			if r := s.Apply(b.Context(), patch)[0]; r.Err != nil {
				b.Error(r.Err)
			}
			n++
		}
	}()
	use := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: "a", N: 1}
	for b.Loop() {
		if r := s.Apply(b.Context(), use)[0]; r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	close(stop)
	b.ReportMetric(float64(<-done)/b.Elapsed().Seconds(), "patches/s")
}
