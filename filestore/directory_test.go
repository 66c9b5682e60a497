package filestore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// TestFixtures opens every directory that can be opened: nothing of it changes,
// and what is read is what the directory has.
func TestFixtures(t *testing.T) {
	for _, name := range dirtest.RoundTrips {
		t.Run(name, func(t *testing.T) {
			dir := dirtest.CopyTree(t, filepath.Join(dirtest.Fixtures, filepath.FromSlash(name)))
			want, _, err := configdir.ReadDir(t.Context(), dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			before := dirtest.Tree(t, dir)
			for range 2 {
				s := openAt(t, dir, nil)
				got, err := s.Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				dirtest.SameState(t, want, got)
				s.Close()
			}
			// Nor does a change of something else, in whatever style they are.
			s := openAt(t, dir, nil)
			if _, err := poolkeeper.New(s, nil).PutFile(t.Context(), "configs/new", []byte("x"), poolkeeper.Always); err != nil {
				t.Fatal(err)
			}
			s.Close()
			after := dirtest.Tree(t, dir)
			if after["new"] != "x" {
				t.Error("the new file is missing")
			}
			delete(after, "new")
			delete(after, ".poolkeeper.lock")
			for p := range before {
				if after[p] != before[p] {
					t.Errorf("%s has changed", p)
				}
				delete(after, p)
			}
			for p := range after {
				t.Errorf("%s was added", p)
			}
		})
	}
}

// TestBrokenDirectories are refused as an import refuses them.
func TestBrokenDirectories(t *testing.T) {
	for name, raw := range dirtest.Expected[map[string]any](t, "broken") {
		want, ok := raw.(map[string]any)
		if !ok || want["recommended_import"] != "refuse" || name == "no-configs-dir" || name == "unreadable" {
			continue
		}
		dir := dirtest.CopyTree(t, filepath.Join(dirtest.Fixtures, "broken", name))
		before := dirtest.Tree(t, filepath.Dir(dir))
		if s, err := filestore.Open(t.Context(), dir, nil); err == nil {
			t.Errorf("%s was opened", name)
			s.Close()
		}
		for p, data := range dirtest.Tree(t, filepath.Dir(dir)) {
			if before[p] != data {
				t.Errorf("%s: %s has changed", name, p)
			}
		}
	}
}

// TestOneProcess opens a directory twice: the second one is told who has it,
// with the same state directory and with another one.
func TestOneProcess(t *testing.T) {
	dir := editDir(t)
	s := openAt(t, dir, nil)
	for _, state := range []string{"", t.TempDir()} {
		_, err := filestore.Open(t.Context(), dir, &filestore.Options{StateDir: state})
		if !errors.Is(err, poolkeeper.ErrUnavailable) || !strings.Contains(err.Error(), "process") || !strings.Contains(err.Error(), dir) {
			t.Errorf("state directory %q: %v", state, err)
		}
	}
	s.Close()
	openAt(t, dir, nil)
	// Nor have two directories one state directory.
	state := t.TempDir()
	openAt(t, editDir(t), &filestore.Options{StateDir: state}).Close()
	if _, err := filestore.Open(t.Context(), editDir(t), &filestore.Options{StateDir: state}); !errors.Is(err, poolkeeper.ErrForbidden) {
		t.Errorf("a state directory of another: %v", err)
	}
}

// TestLinksAndModes writes through a link, and keeps mode and owner.
func TestLinksAndModes(t *testing.T) {
	ctx := context.Background()
	dir := editDir(t)
	real := filepath.Join(filepath.Dir(dir), "data", "pools.json")
	token := filepath.Join(dir, "k", "a.json")
	for _, err := range []error{
		os.Mkdir(filepath.Dir(real), 0o700), os.Rename(filepath.Join(dir, "provider_pools.json"), real),
		os.Symlink("../data/pools.json", filepath.Join(dir, "provider_pools.json")), os.Chmod(real, 0o640), os.Chmod(token, 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := openAt(t, dir, nil)
	st := poolkeeper.New(s, nil)
	a := poolkeeper.Ref{Type: "t", ID: "a"}
	if _, err := st.Usage(ctx, a, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := st.PatchToken(ctx, a, poolkeeper.MergePatch, []byte(`{"x":1}`), poolkeeper.Always); err != nil {
		t.Fatal(err)
	}
	if _, err := st.PutFile(ctx, "configs/new/deep/x", []byte("x"), poolkeeper.Always); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(filepath.Join(dir, "provider_pools.json")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info.Mode(), err)
	}
	for p, want := range map[string]os.FileMode{real: 0o640, token: 0o644, filepath.Join(dir, "new/deep/x"): 0o600} {
		info, err := os.Stat(p)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %o, %v", p, info.Mode(), want, err)
		}
	}
	if data, err := os.ReadFile(real); err != nil || !bytes.Contains(data, []byte(`"usageCount": 6`)) {
		t.Errorf("%s, %v", data, err)
	}
}

// TestUnparsable has another program leave a file that cannot be read: it stays
// as it is, ours is kept and served, and all is merged when it can be read.
func TestUnparsable(t *testing.T) {
	ctx := context.Background()
	dir := editDir(t)
	s := openAt(t, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour})
	st := poolkeeper.New(s, nil)
	a := poolkeeper.Ref{Type: "t", ID: "a"}
	const torn = `{"t":[{"uuid":"a","note":9`
	apply(t, dir, edit{"provider_pools.json": torn})
	if _, err := st.Usage(ctx, a, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); !errors.Is(err, poolkeeper.ErrInvalid) {
		t.Errorf("Flush: %v", err)
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "provider_pools.json")); string(data) != torn {
		t.Errorf("it was overwritten: %s", data)
	}
	info, err := s.Info(ctx)
	if err != nil || len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], "provider_pools.json") {
		t.Errorf("%q, %v", info.Warnings, err)
	}
	s.Close()
	s = openAt(t, dir, nil) // it opens all the same
	if p, err := poolkeeper.New(s, nil).Provider(ctx, a); err != nil || p.Count(poolkeeper.UsageCount) != 6 {
		t.Errorf("%v, %v", p, err)
	}
	apply(t, dir, edit{"provider_pools.json": strings.Replace(editPools, `"a","note":1`, `"a","note":9`, 1)})
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "provider_pools.json")); !bytes.Contains(data, []byte(`"note": 9`)) || !bytes.Contains(data, []byte(`"usageCount": 6`)) {
		t.Errorf("%s", data)
	}
	if info, _ := s.Info(ctx); len(info.Warnings) != 0 {
		t.Errorf("%q", info.Warnings)
	}
}

// TestEmptiedDirectory has a directory that is empty at a start, as that of a
// volume that is not mounted: what the state directory has is written again.
func TestEmptiedDirectory(t *testing.T) {
	dir := editDir(t)
	s := openAt(t, dir, nil)
	want, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, dir, nil)
	got, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dirtest.SameState(t, want, got)
	there, _, err := configdir.ReadDir(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := configdir.CompareSnapshots(there, want, nil); err != nil || !c.Equal() {
		t.Errorf("%v, %v", c, err)
	}
	if info, _ := s.Info(t.Context()); len(info.Warnings) == 0 {
		t.Error("nothing is listed")
	}
}

// TestFilesFollow waits for the files to be rewritten by themselves, and for an
// edit to be seen.
func TestFilesFollow(t *testing.T) {
	dir := editDir(t)
	s := openAt(t, dir, &filestore.Options{Lag: time.Millisecond, Poll: time.Millisecond})
	st := poolkeeper.New(s, nil)
	a := poolkeeper.Ref{Type: "t", ID: "a"}
	if _, err := st.Usage(t.Context(), a, 1); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool {
		data, _ := os.ReadFile(filepath.Join(dir, "provider_pools.json"))
		return bytes.Contains(data, []byte(`"usageCount": 6`))
	})
	apply(t, dir, edit{"config.json": `{"a":5}`})
	until(t, func() bool {
		d, err := st.Config(t.Context())
		return err == nil && string(d.Data) == `{"a":5}`
	})
}

// until waits for something that happens by itself.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}
