package filestore_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// TestCountedSections: keys that were counted count after a kill too, and a
// checkpoint writes those again that have come since, not all of them.
func TestCountedSections(t *testing.T) {
	ctx := t.Context()
	dir := editDir(t)
	s := openAt(t, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour})
	use := func(s *filestore.Store, id, key string) int64 {
		t.Helper()
		r := s.Apply(ctx, poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: id, N: 1, IdempotencyKey: key})[0]
		if r.Err != nil || r.ID != "c" {
			t.Fatalf("%+v", r)
		}
		return r.Count
	}
	rename := poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: poolkeeper.PoolKey("t"), ID: "b", NewID: "c"}
	if r := s.Apply(ctx, rename)[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	var ops []poolkeeper.Op
	for i := range 2*memstore.CountedChunk + 10 {
		ops = append(ops, poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: "c", N: 1, IdempotencyKey: strconv.Itoa(i)})
	}
	s.Apply(ctx, ops...)
	byAlias := use(s, "b", "alias")
	big := func() map[string]bool {
		t.Helper()
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		names, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".poolkeeper", "state-*"))
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, name := range names {
			if info, err := os.Stat(name); err != nil {
				t.Fatal(err)
			} else if info.Size() > 100_000 {
				found[name+info.ModTime().String()] = true
			}
		}
		return found
	}
	first := big()
	last := use(s, "c", "one-more")
	if again := big(); len(first) != 2 || len(again) != 2 {
		t.Errorf("%v, then %v", first, again)
	} else {
		for name := range first {
			if !again[name] {
				t.Errorf("%s was written again", name)
			}
		}
	}
	later := use(s, "c", "in-the-journal")
	killed := openAt(t, copyOf(t, dir), nil)
	for _, c := range []struct {
		id, key string
		want    int64
	}{{"c", "0", 8}, {"c", strconv.Itoa(memstore.CountedChunk), 8 + memstore.CountedChunk}, {"b", "alias", byAlias}, {"c", "one-more", last}, {"c", "in-the-journal", later}, {"c", "new", later + 1}} {
		if n := use(killed, c.id, c.key); n != c.want {
			t.Errorf("%s: %d, and not %d", c.key, n, c.want)
		}
	}
}
