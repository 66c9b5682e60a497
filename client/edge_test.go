package client_test

import (
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// TestEdge takes the directory of nasty ids, types and documents through the
// service: restored, read, and each provider counted, patched and deleted.
func TestEdge(t *testing.T) {
	for name, serve := range map[string]func(testing.TB, poolkeeper.Backend) string{"http": serve, "socket": serveSocket} {
		t.Run(name, func(t *testing.T) {
			for where, open := range map[string]func(testing.TB) poolkeeper.Backend{
				"memory": func(testing.TB) poolkeeper.Backend { return memstore.New(nil) },
				"redis":  func(testing.TB) poolkeeper.Backend { return inRedis(t)(t, nil) },
			} {
				t.Run(where, func(t *testing.T) { edge(t, dial(t, serve(t, open(t)), nil)) })
			}
		})
	}
}

func edge(t *testing.T, b poolkeeper.Backend) {
	ctx := t.Context()
	want, _, err := configdir.ReadDir(ctx, "../testdata/fixtures/edge/configs", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Restore(ctx, want); err != nil {
		t.Fatal(err)
	}
	load := func() *poolkeeper.Snapshot {
		t.Helper()
		snap, err := b.Load(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	if d := storetest.Diff(want, load()); d != "" {
		t.Fatalf("after the restore:\n%s", d)
	}
	st := poolkeeper.New(b, nil)
	providers := 0
	for _, typ := range want.Types {
		for i := range want.Pools[typ].Providers {
			p := &want.Pools[typ].Providers[i]
			before := p.Count(poolkeeper.UsageCount)
			for n := range int64(2) {
				if res, err := st.Usage(ctx, p.Ref, 1); err != nil || res.ID != p.ID || res.Count != poolkeeper.AddCount(before, n+1) {
					t.Errorf("usage of %s: %+v, %v, before %d", p.Ref, res, err, before)
				}
			}
			if _, err := st.PatchProvider(ctx, p.Ref, poolkeeper.MergePatch, []byte(`{"note":"\u0000é"}`), poolkeeper.If(p.ETag())); err != nil {
				t.Errorf("patch of %s: %v", p.Ref, err)
			}
			if _, err := st.DeleteProvider(ctx, p.Ref, poolkeeper.Always); err != nil {
				t.Errorf("delete of %s: %v", p.Ref, err)
			}
			providers++
		}
	}
	for typ, p := range load().Pools {
		if len(p.Providers) != 0 {
			t.Errorf("pool %q still has %d providers", typ, len(p.Providers))
		}
	}
	if providers < 10 {
		t.Errorf("only %d providers", providers)
	}
}
