package filestore_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// A hooked FS does something before a file gets its name.
type hooked struct {
	vfs.FS
	before func(name string)
}

func (h *hooked) Rename(from, to string) error {
	h.before(to)
	return h.FS.Rename(from, to)
}

func withHook(before func(name string)) func(string) (vfs.FS, error) {
	return func(dir string) (vfs.FS, error) {
		inner, err := vfs.Open(dir)
		return &hooked{inner, before}, err
	}
}

// TestEditDuringCheckpoint edits files after the checkpoint has looked at them and
// before it writes them: they are not overwritten.
func TestEditDuringCheckpoint(t *testing.T) {
	ctx := t.Context()
	dir := editDir(t)
	edits := 1
	s := openAt(t, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour, OpenFS: withHook(func(name string) {
		if name == "intent.json" && edits > 0 {
			edits--
			apply(t, dir, edit{"config.json": `{"a":1,"b":9}`, "provider_pools.json": strings.Replace(editPools, `"a","note":1`, `"a","note":9`, 1)})
		}
	})})
	st := poolkeeper.New(s, nil)
	a := poolkeeper.Ref{Type: "t", ID: "a"}
	if _, err := st.PatchConfig(ctx, poolkeeper.MergePatch, []byte(`{"a":2}`), poolkeeper.Always); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Usage(ctx, a, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if edits != 0 {
		t.Error("nothing was edited")
	}
	config, _ := os.ReadFile(filepath.Join(dir, "config.json"))
	pools, _ := os.ReadFile(filepath.Join(dir, "provider_pools.json"))
	if string(config) != `{"a":2,"b":9}` || !bytes.Contains(pools, []byte(`"note": 9`)) || !bytes.Contains(pools, []byte(`"usageCount": 6`)) {
		t.Errorf("%s\n%s", config, pools)
	}
	if info, err := s.Info(ctx); err != nil || len(info.Warnings) != 0 {
		t.Errorf("%q, %v", info.Warnings, err)
	}
}

// TestWritesDuringCheckpoint acknowledges ops between the moment that a checkpoint
// is of and its end: the journal keeps them.
func TestWritesDuringCheckpoint(t *testing.T) {
	ctx := t.Context()
	dir := editDir(t)
	var st *poolkeeper.Store
	wrote := 0
	s := openAt(t, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour, OpenFS: withHook(func(name string) {
		if name != "checkpoint.json" || st == nil || wrote > 0 {
			return
		}
		for i := range 3 { // each fills a segment
			wrote++
			if _, err := st.PutFile(ctx, fmt.Sprint("configs/big", i), bytes.Repeat([]byte{byte('0' + i)}, 13<<20), poolkeeper.Always); err != nil {
				t.Error(err)
			}
		}
	})})
	st = poolkeeper.New(s, nil)
	if _, err := st.Usage(ctx, poolkeeper.Ref{Type: "t", ID: "a"}, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	again := poolkeeper.New(openAt(t, copyOf(t, dir), nil), nil)
	for i := range wrote {
		if d, err := again.File(ctx, fmt.Sprint("configs/big", i)); err != nil || len(d.Data) != 13<<20 {
			t.Errorf("%d: %d bytes, %v", i, len(d.Data), err)
		}
	}
	if wrote != 3 {
		t.Error("nothing was written meanwhile")
	}
	// And what the checkpoint has is given up.
	for range 2 {
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".poolkeeper", "journal", "*.log"))
	if err != nil || len(logs) != 1 {
		t.Errorf("%d segments are left", len(logs))
	}
}
