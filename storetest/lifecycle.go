package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

var lifecycleCases = []testCase{
	{"an uninitialised store refuses ops and reads", func(t *testing.T, h Harness) {
		f := open(t, h)
		f.refuse(putValue(poolkeeper.ConfigKey, "{}"), poolkeeper.ErrUninitialized)
		f.refuse(add(ref("t", "a"), ""), poolkeeper.ErrUninitialized)
		f.refuse(usage(ref("t", "a"), 1), poolkeeper.ErrUninitialized)
		for _, keys := range [][]poolkeeper.Key{nil, {poolkeeper.TypesKey}, {poolkeeper.ConfigKey}, {poolkeeper.PoolKey("t")}} {
			if _, err := f.b.Load(f.ctx, keys...); !errors.Is(err, poolkeeper.ErrUninitialized) {
				t.Errorf("Load %v: error %v, want %v", keys, err, poolkeeper.ErrUninitialized)
			}
		}
	}},
	{"an uninitialised store describes itself", func(t *testing.T, h Harness) {
		f := open(t, h)
		info, err := f.b.Info(f.ctx)
		if err != nil || info.Ready || info.Problem == "" || info.Backend == "" {
			t.Errorf("Info: %+v, error %v; want a backend that is not ready, and why", info, err)
		}
		if epoch := f.load(poolkeeper.MetaKey).Meta["epoch"]; epoch != "" {
			t.Errorf("epoch %q of a store that is not initialised", epoch)
		}
	}},
	{"Restore initialises the store completely", func(t *testing.T, h Harness) {
		f := open(t, h)
		want := fullSnapshot(f)
		if err := f.b.Restore(f.ctx, want); err != nil {
			t.Fatalf("Restore: %v", err)
		}
		f.same(want, "after Restore")
		meta := f.load(poolkeeper.MetaKey).Meta
		if meta["epoch"] == "" || meta["epoch"] == "foreign" || meta["schema"] != "1" || meta["migratedFrom"] != "configs" {
			t.Errorf("meta %v; want an epoch of its own, schema 1, and what the snapshot said", meta)
		}
		info, err := f.b.Info(f.ctx)
		if err != nil || !info.Ready || info.Importing || info.Epoch != meta["epoch"] || info.Writer == "" {
			t.Errorf("Info: %+v, error %v; want ready with the epoch of the meta", info, err)
		}
		f.do(usage(ref("x", "a"), 1))
		if p := f.provider(ref("x", "a")); p.Count(poolkeeper.UsageCount) != 8 {
			t.Errorf("usageCount %d after one use, want 8", p.Count(poolkeeper.UsageCount))
		}
	}},
	{"Restore of an empty snapshot gives a store to write to", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.same(poolkeeper.NewSnapshot(), "after an empty Restore")
		f.do(add(ref("t", "a"), ""), usage(ref("t", "a"), 1))
	}},
	{"Restore into an initialised store is ErrExists and changes nothing", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(putValue(poolkeeper.ConfigKey, `{"a":1}`))
		before := f.load()
		for _, snap := range []*poolkeeper.Snapshot{poolkeeper.NewSnapshot(), fullSnapshot(f)} {
			if err := f.b.Restore(f.ctx, snap); !errors.Is(err, poolkeeper.ErrExists) {
				t.Errorf("second Restore: error %v, want %v", err, poolkeeper.ErrExists)
			}
		}
		f.same(before, "after a refused Restore")
		if a, b := before.Meta["epoch"], f.load(poolkeeper.MetaKey).Meta["epoch"]; a != b {
			t.Error("a refused Restore changed the epoch")
		}
	}},
	{"Restore of a bad snapshot is refused and leaves the store uninitialised", func(t *testing.T, h Harness) {
		f := open(t, h)
		for name, spoil := range badSnapshots {
			snap := fullSnapshot(f)
			spoil(snap)
			if err := f.b.Restore(f.ctx, snap); !errors.Is(err, poolkeeper.ErrInvalid) {
				t.Errorf("%s: error %v, want %v", name, err, poolkeeper.ErrInvalid)
			}
		}
		if _, err := f.b.Load(f.ctx); !errors.Is(err, poolkeeper.ErrUninitialized) {
			t.Fatalf("Load: error %v, want %v", err, poolkeeper.ErrUninitialized)
		}
		if err := f.b.Restore(f.ctx, fullSnapshot(f)); err != nil {
			t.Errorf("Restore of a good snapshot after bad ones: %v", err)
		}
	}},
	{"what was acknowledged is there for the next handle", func(t *testing.T, h Harness) {
		if h.Reopen == nil {
			return // data do not outlive a handle: a fact that the harness declares
		}
		f := open(t, h)
		if err := f.b.Restore(f.ctx, fullSnapshot(f)); err != nil {
			t.Fatal(err)
		}
		f.do(usage(ref("x", "a"), 5), merge(ref("x", "a"), `{"note":"kept"}`), rename(ref("x", "b:1"), "b2"))
		before := f.load()
		if !h.Shared {
			f.b.Close()
		}
		next := h.Reopen(t, f.b)
		t.Cleanup(func() { next.Close() })
		f.b = next
		f.same(before, "through another handle")
		if p := f.provider(ref("x", "b:1")); p.ID != "b2" {
			t.Errorf("the old id leads to %q through another handle, want b2", p.ID)
		}
		if before.Meta["epoch"] != f.load(poolkeeper.MetaKey).Meta["epoch"] {
			t.Error("another handle sees another epoch")
		}
	}},
	{"a context that has ended is its own error, and nothing was applied", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""))
		before := f.load()
		ctx, cancel := context.WithCancel(f.ctx)
		cancel()
		for i, r := range f.b.Apply(ctx, usage(ref("t", "a"), 1), add(ref("t", "b"), ""), putValue(poolkeeper.ConfigKey, "{}")) {
			if r.Err != context.Canceled {
				t.Errorf("op %d: error %v, want %v as it is", i, r.Err, context.Canceled)
			}
		}
		if _, err := f.b.Load(ctx); err != context.Canceled {
			t.Errorf("Load: error %v, want %v as it is", err, context.Canceled)
		}
		f.same(before, "after ops with a cancelled context")
	}},
	{"Apply of no ops answers nothing", func(t *testing.T, h Harness) {
		f := start(t, h)
		if rs := f.b.Apply(f.ctx); len(rs) != 0 {
			t.Errorf("%d results", len(rs))
		}
	}},
	{"a closed store refuses everything, and closing twice is no error", func(t *testing.T, h Harness) {
		f := start(t, h)
		for range 2 {
			if err := f.b.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
		}
		f.refuse(putValue(poolkeeper.ConfigKey, "{}"), poolkeeper.ErrClosed)
		f.refuse(usage(ref("t", "a"), 1), poolkeeper.ErrClosed)
		if _, err := f.b.Load(f.ctx, poolkeeper.ConfigKey); !errors.Is(err, poolkeeper.ErrClosed) {
			t.Errorf("Load: error %v, want %v", err, poolkeeper.ErrClosed)
		}
		if err := f.b.Restore(f.ctx, poolkeeper.NewSnapshot()); !errors.Is(err, poolkeeper.ErrClosed) {
			t.Errorf("Restore: error %v, want %v", err, poolkeeper.ErrClosed)
		}
	}},
}

// badSnapshots are ways to spoil a snapshot.
var badSnapshots = map[string]func(*poolkeeper.Snapshot){
	"a definition that is no object": func(s *poolkeeper.Snapshot) { s.Pools["x"].Providers[0].Definition = []byte("[]") },
	"an id that is not the uuid":     func(s *poolkeeper.Snapshot) { s.Pools["x"].Providers[0].ID = "other" },
	"an empty id":                    func(s *poolkeeper.Snapshot) { s.Pools["x"].Providers[0].ID = "" },
	"an id that stands twice":        func(s *poolkeeper.Snapshot) { s.Pools["x"].Providers[1] = s.Pools["x"].Providers[0] },
	"a session without its hash": func(s *poolkeeper.Snapshot) {
		s.Values[poolkeeper.SessionKey("bearer")] = poolkeeper.Document{Data: []byte("{}")}
	},
	"a path that leaves the root": func(s *poolkeeper.Snapshot) {
		s.Values[poolkeeper.FileKey("../pwd")] = poolkeeper.Document{Data: []byte("x")}
	},
}
