package vfs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
)

func inOrder(n int, do func(int) error) error {
	for i := range n {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// Whatever call fails, and whenever the power is cut, each of many files is the old
// or the new one; the new one where all were said to be durable. What comes after
// them can rely on them. A directory that was missing is there with all its files or
// not at all, and nothing is left behind by a process that lives on.
func TestReplaceManyIsWhole(t *testing.T) {
	replace := func(fsys vfs.FS, content string, names []string, dirs ...string) error {
		var files []vfs.Replacement
		for _, name := range names {
			files = append(files, vfs.Replacement{Name: name, Data: []byte(content + name)})
		}
		return vfs.ReplaceMany(fsys, files, dirs, 0o600, inOrder, func() {})
	}
	there, missing := []string{"a", "b"}, []string{"c/1", "c/d/2"}
	all := slices.Concat(there, missing)
	allDirs := []string{".", "c", "c/d", "c/none"}
	for _, oneByOne := range []bool{false, true} {
		memory := func() *faultfs.Memory {
			m := faultfs.NewMemory()
			m.OneByOne = oneByOne
			return m
		}
		// The first pass counts, on what is the start of all others.
		count := &faultfs.Plan{}
		m := memory()
		if err := errors.Join(replace(m, "old ", there, "."), replace(faultfs.New(m, count), "new ", all, allDirs...)); err != nil {
			t.Fatal(err)
		}
		if info, err := m.Stat("c/none"); err != nil || !info.IsDir() {
			t.Errorf("the directory without files: %v", err)
		}
		for at := 1; at <= count.Count()+1; at++ {
			for _, fault := range []faultfs.Fault{faultfs.Fail, faultfs.Full, faultfs.Kill, faultfs.Tear} {
				for keep := range 16 { // the names that have reached the disk: a, b, c, and the others
					m := memory()
					if err := replace(m, "old ", there, "."); err != nil {
						t.Fatal(err)
					}
					err := replace(faultfs.New(m, &faultfs.Plan{At: at, Fault: fault, Die: func() {}}), "new ", all, allDirs...)
					if left, _ := m.ReadDir("."); (fault == faultfs.Fail || fault == faultfs.Full) && slices.ContainsFunc(left, func(e os.DirEntry) bool { return vfs.IsTemp(e.Name()) }) {
						t.Errorf("one by one %v, call %d, %v: left behind: %v", oneByOne, at, fault, left)
					}
					m.KeepName = func(name string) bool {
						if len(name) > 1 {
							return keep>>3 == 1
						}
						return keep>>(name[0]-'a')&1 == 1
					}
					m.CutPower(nil)
					complete := 0
					for _, name := range all {
						got, readErr := vfs.ReadFile(m, name, 10)
						s := string(got)
						old := s == "old "+name && readErr == nil || errors.Is(readErr, os.ErrNotExist) && slices.Contains(missing, name)
						if !old && s != "new "+name || err == nil && s != "new "+name || (err != nil) != (at <= count.Count()) {
							t.Errorf("one by one %v, call %d, %v, names %b: %v; %s is %q, %v", oneByOne, at, fault, keep, err, name, got, readErr)
						}
						if slices.Contains(missing, name) && !old {
							complete++
						}
					}
					if !oneByOne && complete%len(missing) != 0 {
						t.Errorf("call %d, %v, names %b: %d files of the new directory", at, fault, keep, complete)
					}
				}
			}
		}
	}
}

// On a real file system: modes, what is left behind, and the name in an error.
func TestReplaceManyOnDisk(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"kept": 0o640, "sub/x": 0o600} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), mode); err != nil {
			t.Fatal(err)
		}
	}
	fsys, err := vfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	files := []vfs.Replacement{{Name: "kept", Data: []byte("1")}, {Name: "new", Data: []byte("2")}, {Name: "sub/x", Data: []byte("3")},
		{Name: "made/y", Data: []byte("4")}, {Name: "sub/made/z", Data: []byte("5")}}
	dirs := []string{".", "made", "made/none", "sub", "sub/made"}
	written := 0
	if err := vfs.ReplaceMany(fsys, files, dirs, 0o600, inOrder, func() { written++ }); err != nil || written != len(files) {
		t.Fatalf("%d written, %v", written, err)
	}
	for _, name := range []string{"made", "made/none", "sub/made"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	for i, mode := range []os.FileMode{0o640, 0o600, 0o600, 0o600, 0o600} {
		p := filepath.Join(dir, files[i].Name)
		data, err := os.ReadFile(p)
		info, statErr := os.Stat(p)
		if err != nil || statErr != nil || string(data) != fmt.Sprint(i+1) || info.Mode().Perm() != mode {
			t.Errorf("%s: %q, %v, %v", p, data, info, err)
		}
	}
	files = append(files, vfs.Replacement{Name: "fresh/x"}, vfs.Replacement{Name: "none/x"})
	err = vfs.ReplaceMany(fsys, files, []string{".", "fresh"}, 0o600, inOrder, func() {})
	var pe *os.PathError
	if !errors.As(err, &pe) || pe.Path != "none/x" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "fresh")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that failed: %v", err)
	}
	// What is in the way of a directory stays, and is named.
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kept", "dangling"} {
		err := vfs.ReplaceMany(fsys, []vfs.Replacement{{Name: name + "/x"}}, []string{".", name}, 0o600, inOrder, func() {})
		if !errors.As(err, &pe) || pe.Path != name {
			t.Errorf("in the way: %v", err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*.tmp"))
	here, _ := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if hidden, _ := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left)+len(here)+len(hidden) != 0 {
		t.Errorf("left behind: %q %q %q, %v", left, here, hidden, err)
	}
}
