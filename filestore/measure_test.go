package filestore

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestMeasure: a store tells how much it keeps and how many ops were synced
// together, and once it is closed nothing.
func TestMeasure(t *testing.T) {
	root := t.TempDir()
	s, err := Open(t.Context(), filepath.Join(root, "configs"), &Options{StateDir: filepath.Join(root, "state")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if m := s.Measure(t.Context()); m.Size != nil || m.Batches.Ops != 0 {
		t.Errorf("of a store that is not initialised: %+v", m)
	}
	st := poolkeeper.New(s, nil)
	if err := st.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, def := range []string{`{"uuid":"a"}`, `{"uuid":"b"}`} {
		if _, err := st.AddProvider(t.Context(), "t", []byte(def)); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Measure(t.Context())
	if before.Size == nil || before.Size.Pools != 1 || before.Size.Providers != 2 {
		t.Errorf("size %+v", before.Size)
	}
	const callers, each = 20, 10
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				if _, err := st.Usage(t.Context(), poolkeeper.Ref{Type: "t", ID: "a"}, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	after := s.Measure(t.Context())
	batches, bound := uint64(0), uint64(0)
	for i, n := range after.Batches.Counts {
		n -= before.Batches.Counts[i]
		batches += n
		bound += n * uint64(1<<i)
	}
	if ops := after.Batches.Ops - before.Batches.Ops; ops < callers*each || batches == 0 || batches > ops || bound < ops {
		t.Errorf("%d ops in %d batches of at most %d: %+v", ops, batches, bound, after.Batches)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if m := s.Measure(t.Context()); m.Size != nil {
		t.Errorf("of a closed store: %+v", m)
	}
}
