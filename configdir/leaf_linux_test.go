package configdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// A directory is read at once only if it has nothing but regular files, and what is
// something else by the time that it is opened is not read.
func TestLeaf(t *testing.T) {
	top := t.TempDir()
	file := func(name, data string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(top, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(top, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		t.Helper()
		file(name+"-beside", "")
		if err := os.Symlink(to, filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	open := func(name string) int {
		t.Helper()
		f, err := os.Open(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return int(f.Fd())
	}
	file("secret", "SECRET")
	file("plain/b", "2")
	file("plain/a", strings.Repeat("x", 70_000))
	file("plain/empty", "")
	file("nested/x/y", "1")
	link("../secret", "linked/l")
	file("piped/x", "1")
	if err := syscall.Mkfifo(filepath.Join(top, "piped", "p"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		file(fmt.Sprintf("many/%d", i), "")
	}
	names, ok := regularFiles(open("plain"))
	if slices.Sort(names); !ok || !slices.Equal(names, []string{"a", "b", "empty"}) {
		t.Errorf("%q, %v", names, ok)
	}
	for _, name := range []string{"nested", "linked", "piped", "many"} {
		if names, ok := regularFiles(open(name)); ok {
			t.Errorf("%s: %d files, and nothing else", name, len(names))
		}
	}
	r := &root{given: "configs"}
	for name, want := range map[string]string{"a": strings.Repeat("x", 70_000), "b": "2", "empty": ""} {
		if data, err := r.readAt(open("plain"), name, "p", 70_000); err != nil || string(data) != want {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
	for _, c := range []struct {
		dir, name string
		want      error
	}{
		{"linked", "l", poolkeeper.ErrConflict}, {"piped", "p", poolkeeper.ErrInvalid}, {"nested", "x", poolkeeper.ErrInvalid},
		{"plain", "gone", poolkeeper.ErrConflict}, {"plain", "a", poolkeeper.ErrTooLarge},
	} {
		if data, err := r.readAt(open(c.dir), c.name, "configs/p", 69_999); !errors.Is(err, c.want) {
			t.Errorf("%s/%s: %d bytes, %v", c.dir, c.name, len(data), err)
		}
	}
}
