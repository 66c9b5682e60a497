package vfs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
// them can rely on them.
func TestReplaceManyIsWhole(t *testing.T) {
	for _, oneByOne := range []bool{false, true} {
		replace := func(fsys vfs.FS, content string) error {
			var files []vfs.Replacement
			for _, name := range []string{"a", "b", "c"} {
				files = append(files, vfs.Replacement{Name: name, Data: []byte(content + name)})
			}
			return vfs.ReplaceMany(fsys, files, []string{"."}, 0o600, inOrder, func() {})
		}
		memory := func() *faultfs.Memory {
			m := faultfs.NewMemory()
			m.OneByOne = oneByOne
			return m
		}
		count := &faultfs.Plan{}
		if err := replace(faultfs.New(memory(), count), "new "); err != nil {
			t.Fatal(err)
		}
		for at := 1; at <= count.Count()+1; at++ {
			for _, fault := range []faultfs.Fault{faultfs.Fail, faultfs.Full, faultfs.Kill, faultfs.Tear} {
				for keep := range 8 { // the names that have reached the disk
					m := memory()
					if err := replace(m, "old "); err != nil {
						t.Fatal(err)
					}
					err := replace(faultfs.New(m, &faultfs.Plan{At: at, Fault: fault, Die: func() {}}), "new ")
					m.KeepName = func(name string) bool { return len(name) > 1 || keep>>(name[0]-'a')&1 == 1 }
					m.CutPower(nil)
					for _, name := range []string{"a", "b", "c"} {
						got, readErr := vfs.ReadFile(m, name, 10)
						if s := string(got); readErr != nil || s != "old "+name && s != "new "+name || err == nil && s != "new "+name || (err != nil) != (at <= count.Count()) {
							t.Errorf("one by one %v, call %d, %v, names %b: %v; %s is %q, %v", oneByOne, at, fault, keep, err, name, got, readErr)
						}
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
	files := []vfs.Replacement{{Name: "kept", Data: []byte("1")}, {Name: "new", Data: []byte("2")}, {Name: "sub/x", Data: []byte("3")}}
	written := 0
	if err := vfs.ReplaceMany(fsys, files, []string{".", "sub"}, 0o600, inOrder, func() { written++ }); err != nil || written != 3 {
		t.Fatalf("%d written, %v", written, err)
	}
	for i, mode := range []os.FileMode{0o640, 0o600, 0o600} {
		p := filepath.Join(dir, files[i].Name)
		data, err := os.ReadFile(p)
		info, statErr := os.Stat(p)
		if err != nil || statErr != nil || string(data) != fmt.Sprint(i+1) || info.Mode().Perm() != mode {
			t.Errorf("%s: %q, %v, %v", p, data, info, err)
		}
	}
	files = append(files, vfs.Replacement{Name: "none/x"})
	err = vfs.ReplaceMany(fsys, files, nil, 0o600, inOrder, func() {})
	var pe *os.PathError
	if !errors.As(err, &pe) || pe.Path != "none/x" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*.tmp"))
	here, _ := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if hidden, _ := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left)+len(here)+len(hidden) != 0 {
		t.Errorf("left behind: %q %q %q, %v", left, here, hidden, err)
	}
}
