package configdir_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// TestRandomRoundTrip writes random snapshots and reads them back.
func TestRandomRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	runs := 40
	if testing.Short() {
		runs = 15
	}
	for i := range runs {
		m := dirtest.Maker{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		want := m.Snapshot()
		dir := filepath.Join(t.TempDir(), "configs")
		if _, err := configdir.WriteDir(context.Background(), dir, want, nil); err != nil {
			t.Fatalf("seed %d, run %d: %v", seed, i, err)
		}
		got, _, err := configdir.ReadDir(context.Background(), dir, nil)
		if err != nil {
			t.Fatalf("seed %d, run %d: %v", seed, i, err)
		}
		// The sessions stand in the document now.
		store := poolkeeper.DocumentKey("token-store.json")
		doc, had := want.Values[store]
		delete(want.Values, store)
		if d, ok := got.Values[store]; had && !ok {
			t.Errorf("token-store.json is gone")
		} else if before, ok := rawjson.Get(doc.Data, "tokens"); had && ok && rawjson.KindOf(before) == rawjson.KindObject && rawjson.Valid(d.Data) != nil {
			t.Errorf("token-store.json is damaged")
		}
		delete(got.Values, store)
		dirtest.SameState(t, want, got)
		if t.Failed() {
			t.Fatalf("seed %d, run %d", seed, i)
		}
	}
}
