//go:build unix

package vfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
)

// What is missing of a directory is made, for its owner alone; what is there
// stays as it is.
func TestMake(t *testing.T) {
	top := t.TempDir()
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		fsys, err := vfs.Make(filepath.Join(top, "a", "b"))
		if err != nil {
			t.Fatal(err)
		}
		fsys.Close()
	}
	for name, want := range map[string]fs.FileMode{".": 0o755, "a": 0o700, "a/b": 0o700} {
		if info, err := os.Stat(filepath.Join(top, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, info, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(top, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "file/below"} {
		if _, err := vfs.Make(filepath.Join(top, name)); err == nil {
			t.Errorf("%s was made a directory", name)
		}
	}
}

// No call leaves the directory.
func TestStaysInside(t *testing.T) {
	top := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(top, "outside"), []byte("x"), 0o600), os.Mkdir(filepath.Join(top, "in"), 0o700),
		os.Symlink("../outside", filepath.Join(top, "in", "link"))); err != nil {
		t.Fatal(err)
	}
	fsys, err := vfs.Open(filepath.Join(top, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	for _, name := range []string{"../outside", "link", filepath.Join(top, "outside")} {
		if _, err := fsys.OpenFile(name, os.O_RDWR, 0); err == nil {
			t.Errorf("%s was opened", name)
		}
		if _, err := vfs.ReadFile(fsys, name, 10); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if err := vfs.WriteFile(fsys, "../outside", []byte("y"), 0o600); err == nil {
		t.Error("what is outside was replaced")
	}
}

func TestReadFileLimit(t *testing.T) {
	m := faultfs.NewMemory()
	if err := vfs.WriteFile(m, "f", []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := vfs.ReadFile(m, "f", 5); err != nil || string(b) != "12345" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := vfs.ReadFile(m, "f", 4); !errors.Is(err, vfs.ErrTooLarge) {
		t.Errorf("beyond the limit: %v", err)
	}
}

// Whatever call fails, and whenever the power is cut, a file that is replaced is
// the old or the new one; the new one where it was said to be durable.
func TestWriteFileIsWhole(t *testing.T) {
	count := &faultfs.Plan{}
	if err := vfs.WriteFile(faultfs.New(faultfs.NewMemory(), count), "f", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= count.Count()+1; at++ {
		for _, fault := range []faultfs.Fault{faultfs.Fail, faultfs.Full, faultfs.Kill, faultfs.Tear} {
			for _, keep := range []bool{false, true} {
				m := faultfs.NewMemory()
				if err := vfs.WriteFile(m, "f", []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
				err := vfs.WriteFile(faultfs.New(m, &faultfs.Plan{At: at, Fault: fault, Die: func() {}}), "f", []byte("new"), 0o600)
				m.KeepName = func(string) bool { return keep }
				m.CutPower(nil)
				got, readErr := vfs.ReadFile(m, "f", 10)
				if s := string(got); readErr != nil || s != "old" && s != "new" || err == nil && s != "new" || (err != nil) != (at <= count.Count()) {
					t.Errorf("call %d, %v, names kept %v: %v; there is %q, %v", at, fault, keep, err, got, readErr)
				}
			}
		}
	}
}

// The lock of one process keeps all others out, until the file is closed.
func TestLock(t *testing.T) {
	dir, err := vfs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for name, fsys := range map[string]vfs.FS{"system": dir, "memory": faultfs.NewMemory()} {
		open := func() vfs.File {
			f, err := fsys.OpenFile("lock", os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		one, two := open(), open()
		if err := one.Lock(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := two.Lock(); !errors.Is(err, vfs.ErrLocked) {
			t.Errorf("%s: the second one: %v", name, err)
		}
		one.Close()
		if err := two.Lock(); err != nil {
			t.Errorf("%s: after the first has closed: %v", name, err)
		}
		two.Close()
	}
}

// A file that is made belongs to whom the directory belongs to.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	if os.Getuid() == 0 { // all others make their own files
		if err := os.Chown(dir, 12345, 12346); err != nil {
			t.Fatal(err)
		}
	}
	fsys, err := vfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	for range 2 {
		f, err := vfs.Create(fsys, "f", 0)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	want, _ := os.Stat(dir)
	got, err := os.Stat(filepath.Join(dir, "f"))
	if err != nil || got.Sys().(*syscall.Stat_t).Uid != want.Sys().(*syscall.Stat_t).Uid || got.Mode().Perm() != 0o600 {
		t.Errorf("%+v, %v; the directory: %+v", got, err, want)
	}
}

// What was synced is what SyncData makes durable as well.
func TestSyncData(t *testing.T) {
	dir := t.TempDir()
	fsys, err := vfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	f, err := fsys.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := f.SyncData(); err != nil {
		t.Error(err)
	}
	f.Close()
	if err := f.SyncData(); err == nil {
		t.Error("a closed file was synced")
	}
}
