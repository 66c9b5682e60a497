package transfer_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/transfer"
)

func read(t *testing.T, dir string) (*poolkeeper.Snapshot, *configdir.Report) {
	t.Helper()
	snap, report, err := configdir.ReadDir(context.Background(), dir, nil)
	if err != nil {
		t.Fatalf("ReadDir: %v", err)
	}
	return snap, report
}

func write(t *testing.T, snap *poolkeeper.Snapshot) (dir string, report *configdir.Report) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "root", "configs")
	report, err := configdir.WriteDir(context.Background(), dir, snap, nil)
	if err != nil {
		t.Fatalf("WriteDir: %v", err)
	}
	return dir, report
}

func newStore(t *testing.T) *poolkeeper.Store {
	t.Helper()
	st := poolkeeper.New(memstore.New(nil), nil)
	t.Cleanup(func() { st.Close() })
	return st
}

func imported(t *testing.T, dir string) *poolkeeper.Store {
	t.Helper()
	st := newStore(t)
	mustImport(t, st, dir, nil)
	return st
}

func mustImport(t *testing.T, st *poolkeeper.Store, dir string, opts *transfer.ImportOptions) *transfer.ImportResult {
	t.Helper()
	res, err := transfer.Import(context.Background(), st, dir, opts)
	if err != nil {
		t.Fatalf("Import: %v", err)
	}
	return res
}

// TestByteFidelity is rule 1: directory, store, empty directory.
func TestByteFidelity(t *testing.T) {
	for _, name := range dirtest.RoundTrips {
		t.Run(name, func(t *testing.T) {
			src := dirtest.Configs(name)
			want := dirtest.Manifest(t, name)
			st := imported(t, src)
			snap, err := st.Snapshot(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			out, _ := write(t, snap)
			got := dirtest.Tree(t, filepath.Dir(out))
			_, report := read(t, src)
			for p, hash := range want {
				data, there := got[p]
				switch {
				case slices.Contains(report.Transient, p):
					if there {
						t.Errorf("%s was exported, and is transient", p)
					}
				case !there:
					t.Errorf("%s is missing", p)
				case dirtest.Sum(data) != hash && p == "configs/provider_pools.json":
					in, err := os.ReadFile(filepath.Join(src, "provider_pools.json"))
					if err != nil {
						t.Fatal(err)
					}
					in, _ = rawjson.StripBOM(in)
					if where, at := rawjson.DiffTokens(in, []byte(data)); at >= 0 {
						t.Errorf("the pools differ at %s", where)
					}
					if name == "typical" {
						t.Error("the pools in the application's style are not the same bytes")
					}
				case dirtest.Sum(data) != hash:
					t.Errorf("%s differs", p)
				}
				delete(got, p)
			}
			delete(got, "configs/provider_pools.json") // {} where there was none
			for p := range got {
				t.Errorf("%s was added", p)
			}
			if _, err := transfer.Verify(context.Background(), st, out, nil); err != nil {
				t.Errorf("the store differs from its export: %v", err)
			}
			if c, err := transfer.Verify(context.Background(), st, src, nil); err != nil {
				t.Errorf("the store differs from its source: %v, %v", err, c)
			}
		})
	}
}

// TestIdempotence is rule 3: a second import changes nothing.
func TestIdempotence(t *testing.T) {
	for _, name := range dirtest.RoundTrips {
		t.Run(name, func(t *testing.T) {
			st := newStore(t)
			first := mustImport(t, st, dirtest.Configs(name), nil)
			before, _ := st.Snapshot(context.Background())
			for _, force := range []bool{false, true} {
				second := mustImport(t, st, dirtest.Configs(name), &transfer.ImportOptions{Force: force})
				if !first.Restored || second.Restored || second.Changes() != 0 || len(second.Kept) != 0 {
					t.Errorf("second import: %d added %v, %d changed %v, kept %v", len(second.Added), second.Added, len(second.Changed), second.Changed, second.Kept)
				}
			}
			after, _ := st.Snapshot(context.Background())
			if diff := cmp.Diff(before, after, cmp.AllowUnexported(poolkeeper.State{})); diff != "" {
				t.Errorf("the store changed:\n%s", diff)
			}
		})
	}
}

// TestReadEquality is rule 4: a store filled from the directory answers as the
// directory does.
func TestReadEquality(t *testing.T) {
	for _, name := range dirtest.RoundTrips {
		t.Run(name, func(t *testing.T) {
			want, _ := read(t, dirtest.Configs(name))
			dirtest.SameState(t, want, snapshot(t, imported(t, dirtest.Configs(name))))
		})
	}
}
