package filestore

import (
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestPatchBesideOthers: while a patch is computed its pool is open for others, and
// what they do to the target is not lost.
func TestPatchBesideOthers(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir()+"/configs", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	key := poolkeeper.PoolKey("t")
	patch := func(id, data string) poolkeeper.Op {
		return poolkeeper.Op{Kind: poolkeeper.OpPatchProvider, Key: key, ID: id, Patch: poolkeeper.JSONPatch, Data: []byte(data)}
	}
	ops := []poolkeeper.Op{
		{Kind: poolkeeper.OpAddProvider, Key: key, ID: "a", Data: []byte(`{"uuid":"a"}`)},
		{Kind: poolkeeper.OpPut, Key: poolkeeper.ConfigKey, Data: []byte(`{}`)},
		{Kind: poolkeeper.OpPatch, Key: poolkeeper.ConfigKey, Patch: poolkeeper.MergePatch, Data: []byte(`{"x":1}`)},
	}
	for _, r := range s.Apply(t.Context(), ops...) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	s.drafted = func() {
		s.drafted = nil
		for _, r := range s.Apply(t.Context(), patch("a", `[{"op":"add","path":"/theirs","value":1}]`), poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: key, ID: "a", N: 1}) {
			if r.Err != nil {
				t.Error(r.Err)
			}
		}
	}
	// The second one is of the group of the first, and has nothing to wait for.
	rs := s.Apply(t.Context(), patch("a", `[{"op":"add","path":"/ours","value":2}]`),
		poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: poolkeeper.ConfigKey, Patch: poolkeeper.JSONPatch, Data: []byte(`[{"op":"replace","path":"/x","value":2}]`)})
	snap, err := s.Load(t.Context(), key, poolkeeper.ConfigKey)
	if err != nil || rs[0].Err != nil || rs[1].Err != nil {
		t.Fatal(err, rs)
	}
	p := snap.Pools["t"].Providers[0]
	if got := string(p.Definition); got != `{"uuid":"a","theirs":1,"ours":2}` || p.Count(poolkeeper.UsageCount) != 1 {
		t.Errorf("%s, %d", got, p.Count(poolkeeper.UsageCount))
	}
	if got := string(snap.Values[poolkeeper.ConfigKey].Data); got != `{"x":2}` {
		t.Errorf("the rest of its group: %s", got)
	}
}
