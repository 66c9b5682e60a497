package memstore

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// TestImage commits ops on a store, and on one that is made of an image now and
// then: both end up the same, and what was only checked changed nothing.
func TestImage(t *testing.T) {
	s, advance := opened(t)
	key, value := poolkeeper.PoolKey("t"), poolkeeper.SessionKey(poolkeeper.SessionName("s"))
	ops := []poolkeeper.Op{
		{Kind: poolkeeper.OpAddProvider, Key: key, ID: "a", Data: []byte(`{"uuid":"a"}`)},
		{Kind: poolkeeper.OpAddProvider, Key: key, ID: "b", Data: []byte(`{"uuid":"b"}`)},
		{Kind: poolkeeper.OpPutProvider, Key: key, ID: "b", Data: []byte(`{"uuid":"b","x":1}`)},
		{Kind: poolkeeper.OpPatchProvider, Key: key, ID: "b", Patch: poolkeeper.MergePatch, Data: []byte(`{"y":1}`)},
		{Kind: poolkeeper.OpRenameProvider, Key: key, ID: "a", NewID: "c"},
		{Kind: poolkeeper.OpUsage, Key: key, ID: "a", N: 1},
		{Kind: poolkeeper.OpUsage, Key: key, ID: "a", N: 1, IdempotencyKey: "k"},
		{Kind: poolkeeper.OpUsage, Key: key, ID: "a", N: 1, IdempotencyKey: "k"},
		{Kind: poolkeeper.OpReorderPool, Key: key, Order: []string{"b", "c"}},
		{Kind: poolkeeper.OpError, Key: key, ID: "c", At: 5},
		{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey("u"), Providers: []poolkeeper.ProviderRecord{{ID: "z", Definition: []byte(`{"uuid":"z"}`)}}},
		{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, Order: []string{"u", "t"}},
		{Kind: poolkeeper.OpPut, Key: poolkeeper.ConfigKey, Data: []byte(`{"a":1}`)},
		{Kind: poolkeeper.OpPatch, Key: poolkeeper.ConfigKey, Patch: poolkeeper.MergePatch, Data: []byte(`{"b":1}`)},
		{Kind: poolkeeper.OpPut, Key: value, Data: []byte("x"), ExpiresAt: 1_000_000_000_500},
		{Kind: poolkeeper.OpDelete, Key: poolkeeper.ConfigKey},
		{Kind: poolkeeper.OpDeleteProvider, Key: key, ID: "b"},
		{Kind: poolkeeper.OpDeletePool, Key: poolkeeper.PoolKey("u")},
	}
	image := func(s *Store) *Image {
		i, err := s.Image(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	other, err := FromImage(image(s), &Options{Now: s.now})
	if err != nil {
		t.Fatal(err)
	}
	for i := range ops {
		at := s.millis()
		before := image(s)
		checked := s.Check(&ops[i], at, nil)
		if checked.Err != nil || !checked.Changed || !reflect.DeepEqual(before, image(s)) {
			t.Fatalf("%s: checked: %+v", ops[i].Kind, checked)
		}
		advance(time.Second) // by which the session has ended, and not the op
		first := s.Commit(&ops[i], at, "writer", nil)
		if rand.IntN(2) == 0 {
			if other, err = FromImage(image(other), &Options{Now: s.now}); err != nil {
				t.Fatal(err)
			}
		}
		if second := other.Commit(&ops[i], at, "writer", nil); first.Err != nil || !reflect.DeepEqual(first, second) || first.Revision.Writer != "writer" {
			t.Fatalf("%s: %+v, then %+v", ops[i].Kind, first, second)
		}
		if !reflect.DeepEqual(image(s), image(other)) {
			t.Fatalf("%s: another state", ops[i].Kind)
		}
	}
	for _, op := range []poolkeeper.Op{{Kind: poolkeeper.OpUsage, Key: key, ID: "b", N: 1}, ops[15], {Kind: poolkeeper.OpPut, Key: poolkeeper.ConfigKey, If: poolkeeper.IfPresent}} {
		if got, want := s.Check(&op, s.millis(), nil), s.Commit(&op, s.millis(), "w", nil); got.Err == nil || got.Err.Error() != want.Err.Error() {
			t.Errorf("%s: checked %v, then %v", op.Kind, got.Err, want.Err)
		}
	}
}
