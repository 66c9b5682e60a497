package transfer_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/transfer"
)

// TestRandomImport imports random directories one after the other into one
// store: each import must be verified by itself, and be repeated without a
// change.
func TestRandomImport(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	runs := 12
	if testing.Short() {
		runs = 6
	}
	for i := range runs {
		m := dirtest.Maker{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		st := newStore(t)
		for step := range 4 {
			dir := filepath.Join(t.TempDir(), "configs")
			if _, err := configdir.WriteDir(context.Background(), dir, m.Snapshot(), nil); err != nil {
				t.Fatalf("seed %d, run %d.%d: %v", seed, i, step, err)
			}
			opts := &transfer.ImportOptions{Force: m.IntN(2) == 0, Mirror: m.IntN(2) == 0}
			res, err := transfer.Import(context.Background(), st, dir, opts)
			if err != nil {
				t.Fatalf("seed %d, run %d.%d: %v", seed, i, step, err)
			}
			if len(res.Removed) > 0 && !opts.Mirror {
				t.Fatalf("seed %d, run %d.%d: removed %v", seed, i, step, res.Removed)
			}
			if c, err := transfer.Verify(context.Background(), st, dir, nil); opts.Mirror && opts.Force && err != nil {
				t.Fatalf("seed %d, run %d.%d: a mirror differs: %v\n%v", seed, i, step, err, c)
			}
			again, err := transfer.Import(context.Background(), st, dir, opts)
			if err != nil || again.Changes() != 0 {
				t.Fatalf("seed %d, run %d.%d: again: %v, added %v, changed %v", seed, i, step, err, again.Added, again.Changed)
			}
			// What is in the store now can be exported, and is the same there.
			out := filepath.Join(t.TempDir(), "configs")
			snap := snapshot(t, st)
			if _, err := configdir.WriteDir(context.Background(), out, snap, nil); err != nil {
				t.Fatalf("seed %d, run %d.%d: export: %v", seed, i, step, err)
			}
			if c, err := transfer.Verify(context.Background(), st, out, nil); err != nil {
				t.Fatalf("seed %d, run %d.%d: %v\n%v", seed, i, step, err, c)
			}
		}
	}
}
