package transfer_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/transfer"
)

func mustImportSource(t *testing.T, st *poolkeeper.Store, src *transfer.Source, opts *transfer.ImportOptions) *transfer.ImportResult {
	t.Helper()
	res, err := transfer.ImportSource(context.Background(), st, src, opts)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// A store is a source like the directory of its export: a new one becomes what
// it is, one in use gets what is new, and a second time there is nothing to do.
func TestImportStore(t *testing.T) {
	ctx := context.Background()
	ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "ab226ca1-2651-430f-a1f0-85aa0228e36e"}
	for _, fixture := range []string{"typical", "typical-jan2026", "edge", "edge-bom"} {
		from := imported(t, dirtest.Configs(fixture))
		if fixture == "typical" {
			if res, err := from.Usage(ctx, ref, 7); err != nil || res.Count != 1850 {
				t.Fatalf("%d, %v", res.Count, err)
			}
		}
		source := func() *transfer.Source { return &transfer.Source{Name: "source", Snapshot: snapshot(t, from)} }
		st := newStore(t)
		if res := mustImportSource(t, st, source(), &transfer.ImportOptions{DryRun: true}); !res.DryRun || len(res.Added) == 0 {
			t.Errorf("%s: dry run: %+v", fixture, res)
		}
		if _, err := st.Snapshot(ctx); !errors.Is(err, poolkeeper.ErrUninitialized) {
			t.Fatalf("%s: a dry run wrote: %v", fixture, err)
		}
		res := mustImportSource(t, st, source(), nil)
		if !res.Restored || res.Providers == 0 {
			t.Errorf("%s: %+v", fixture, res)
		}
		dirtest.SameState(t, snapshot(t, from), snapshot(t, st))
		if res := mustImportSource(t, st, source(), nil); res.Changes() != 0 || len(res.Kept) != 0 {
			t.Errorf("%s: a second time: %v %v %v", fixture, lines(res.Added), lines(res.Changed), lines(res.Kept))
		}
		if fixture == "typical" {
			if p := snapshot(t, st).Provider(ref); p.Count(poolkeeper.UsageCount) != 1850 {
				t.Errorf("the count is %d", p.Count(poolkeeper.UsageCount))
			}
		}
		other := imported(t, dirtest.Configs("typical-jan2026"))
		mustImportSource(t, other, source(), nil)
		if res := mustImportSource(t, other, source(), nil); res.Changes() != 0 {
			t.Errorf("%s: into a store in use, a second time: %v %v", fixture, lines(res.Added), lines(res.Changed))
		}
		got := snapshot(t, other)
		for _, k := range snapshot(t, from).KeysOf(poolkeeper.KindToken) {
			if _, ok := got.Values[k]; !ok {
				t.Errorf("%s: %s did not come over", fixture, k)
			}
		}
	}
}

// forkSnapshot is what is read of a foreign layout: a token that no path names,
// and an order that means nothing.
func forkSnapshot(sessionEnds int64) *poolkeeper.Snapshot {
	snap := poolkeeper.NewSnapshot()
	for _, typ := range []string{"a", "b", "z"} {
		p := &poolkeeper.Pool{Type: typ}
		for _, id := range []string{"1", "2", "3"} {
			p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: typ, ID: id}, Definition: []byte(`{"uuid":"` + id + `"}`)})
		}
		snap.AddPool(p)
	}
	snap.Pools["a"].Providers[1].State.Set(poolkeeper.UsageCount, "12")
	snap.Values[poolkeeper.TokenKey(poolkeeper.Ref{Type: "a", ID: "2"})] = poolkeeper.Document{Data: []byte(`{"t":1}`)}
	snap.Values[poolkeeper.TokenKey(poolkeeper.Ref{Type: "a", ID: "nobody"})] = poolkeeper.Document{Data: []byte(`{"t":2}`)}
	snap.Values[poolkeeper.SessionKey(poolkeeper.SessionName("bearer"))] = poolkeeper.Document{
		Data: poolkeeper.EncodeSession("bearer", []byte(`{"expiryTime":4102444800000}`)), ExpiresAt: sessionEnds,
	}
	snap.Meta = map[string]string{"version": "1.0", "migratedAt": "then"}
	return snap
}

func TestImportForeign(t *testing.T) {
	const ends = 4_000_000_000_000
	foreign := func(ends int64) *transfer.Source {
		return &transfer.Source{Name: "fork", Snapshot: forkSnapshot(ends), Unordered: true}
	}
	st := newStore(t)
	mustImportSource(t, st, foreign(ends), nil)
	meta := must(st.Meta(context.Background()))
	if meta["version"] != "1.0" || meta["migratedAt"] != "then" || meta["importedFrom"] != "redis" || meta["importedAt"] == "" {
		t.Errorf("meta %v", meta)
	}
	// The time to live of a session is never read twice as the same.
	if res := mustImportSource(t, st, foreign(ends+3), nil); res.Changes() != 0 {
		t.Errorf("a second time: %v %v", lines(res.Added), lines(res.Changed))
	}
	if snap := snapshot(t, st); snap.Provider(poolkeeper.Ref{Type: "a", ID: "2"}).Count(poolkeeper.UsageCount) != 12 {
		t.Error("the counter did not come over")
	}

	// What a store has already keeps its place.
	st = imported(t, dirtest.WriteTree(t, map[string]string{
		"configs/provider_pools.json": `{"z":[{"uuid":"9"},{"uuid":"3"},{"uuid":"1"}],"y":[],"a":[{"uuid":"2","usageCount":5}]}`,
	}))
	res := mustImportSource(t, st, foreign(ends), nil)
	if slices.ContainsFunc(res.Changed, func(c transfer.Change) bool { return c.Why == "order" }) {
		t.Errorf("changed %v", lines(res.Changed))
	}
	snap := snapshot(t, st)
	order := map[string][]string{}
	for _, p := range snap.Pools {
		for i := range p.Providers {
			order[p.Type] = append(order[p.Type], p.Providers[i].ID)
		}
	}
	if !slices.Equal(snap.Types, []string{"z", "y", "a", "b"}) || !slices.Equal(order["z"], []string{"9", "3", "1", "2"}) || !slices.Equal(order["a"], []string{"2", "1", "3"}) {
		t.Errorf("types %q, pools %v", snap.Types, order)
	}
	if n := snap.Provider(poolkeeper.Ref{Type: "a", ID: "2"}).Count(poolkeeper.UsageCount); n != 12 {
		t.Errorf("usageCount %d, want 12", n)
	}
	if res := mustImportSource(t, st, foreign(ends-5), nil); res.Changes() != 0 {
		t.Errorf("a second time: %v %v", lines(res.Added), lines(res.Changed))
	}
}

// What no directory can be made of is refused before anything is written.
func TestImportOfWhatCannotBe(t *testing.T) {
	snap := forkSnapshot(0)
	for _, p := range []string{"configs/kiro/a", "configs/kiro/a/b.json"} {
		ref := poolkeeper.Ref{Type: "a", ID: p[len(p)-1:]}
		snap.Values[poolkeeper.TokenKey(ref)] = poolkeeper.Document{Data: []byte(`{"x":"` + p + `"}`)}
		snap.Values[poolkeeper.TokenRefKey(p)] = poolkeeper.Document{Data: poolkeeper.EncodeTokenOwner(ref)}
	}
	st := newStore(t)
	if _, err := transfer.ImportSource(context.Background(), st, &transfer.Source{Name: "fork", Snapshot: snap}, nil); !errors.Is(err, poolkeeper.ErrExists) {
		t.Errorf("error %v, want ErrExists", err)
	}
	if _, err := st.Snapshot(context.Background()); !errors.Is(err, poolkeeper.ErrUninitialized) {
		t.Errorf("it wrote: %v", err)
	}
}

// In place it is Adopt that makes the store. In one that is there it removes what
// is left over, which is then no difference.
func TestImportInPlace(t *testing.T) {
	st := newStore(t)
	nobody := poolkeeper.Ref{Type: "a", ID: "nobody"}
	calls := 0
	source := func(snap *poolkeeper.Snapshot) *transfer.Source {
		return &transfer.Source{Snapshot: snap, Adopt: func(ctx context.Context, snap *poolkeeper.Snapshot) error {
			if calls++; calls == 1 {
				return st.Restore(ctx, snap)
			}
			return st.Apply(ctx, poolkeeper.Op{Kind: poolkeeper.OpDelete, Key: poolkeeper.TokenKey(nobody)})[0].Err
		}}
	}
	dry := &transfer.ImportOptions{DryRun: true}
	mustImportSource(t, st, source(forkSnapshot(0)), dry)
	if calls != 0 {
		t.Fatal("a dry run converted the store")
	}
	if res := mustImportSource(t, st, source(forkSnapshot(0)), nil); !res.Restored || res.Tokens != 2 {
		t.Errorf("%+v", res)
	}
	mustImportSource(t, st, source(snapshot(t, st)), dry)
	if calls != 1 {
		t.Fatal("a dry run finished the conversion")
	}
	if res := mustImportSource(t, st, source(snapshot(t, st)), nil); res.Changes() != 0 || res.Tokens != 1 || calls != 2 {
		t.Errorf("%d calls, %+v", calls, res)
	}
}
