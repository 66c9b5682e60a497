package filestore_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

var (
	placesMu sync.Mutex
	places   = map[poolkeeper.Backend]func(testing.TB) poolkeeper.Backend{}
)

// harness opens stores in directories of their own, which are rewritten all the
// time.
var harness = storetest.Harness{
	Open: func(t testing.TB, now func() time.Time) poolkeeper.Backend {
		dir := filepath.Join(t.TempDir(), "configs")
		return openAt(t, dir, &filestore.Options{Lag: time.Millisecond, Poll: 5 * time.Millisecond, Now: now})
	},
	Reopen: func(t testing.TB, b poolkeeper.Backend) poolkeeper.Backend {
		placesMu.Lock()
		again := places[b]
		placesMu.Unlock()
		return again(t)
	},
	OwnClock: true,
}

func openAt(t testing.TB, dir string, opts *filestore.Options) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(t.Context(), dir, opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	placesMu.Lock()
	places[s] = func(t testing.TB) poolkeeper.Backend { return openAt(t, dir, opts) }
	placesMu.Unlock()
	t.Cleanup(func() { s.Close() })
	return s
}

func TestConformance(t *testing.T)  { storetest.Run(t, harness) }
func TestModel(t *testing.T)        { storetest.Model(t, harness) }
func TestLinearizable(t *testing.T) { storetest.Linearizable(t, harness) }
func TestLimits(t *testing.T)       { storetest.Limits(t, harness) }
