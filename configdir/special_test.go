//go:build unix

package configdir_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// TestSpecialFiles has pipes, which block whoever opens them.
func TestSpecialFiles(t *testing.T) {
	dir := dirtest.WriteTree(t, map[string]string{
		"configs/provider_pools.json": `{"t":[{"uuid":"1","A_TOKEN_FILE_PATH":"configs/pipe"},{"uuid":"2","A_TOKEN_FILE_PATH":"pipe"}]}`,
	})
	for _, p := range []string{"pipe", "../pipe"} {
		if err := syscall.Mkfifo(filepath.Join(dir, p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link(t, "../pipe", filepath.Join(dir, "link"))
	snap, report := read(t, dir)
	if len(snap.Values) != 0 || len(whereOf(report, configdir.CodeSpecial)) != 4 {
		t.Errorf("%v, %v", values(snap), report.Warnings)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pwd"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := configdir.ReadDir(context.Background(), dir, nil); !errors.Is(err, poolkeeper.ErrInvalid) {
		t.Errorf("pwd is a pipe: %v", err)
	}
}

// TestReplacedModes replaces a file that the operator made readable to others,
// and one that is a link: the mode stays, and the target of the link is not
// touched.
func TestReplacedModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	snap, _ := read(t, dirtest.Configs("edge"))
	out, _ := write(t, snap)
	config, pools, other := filepath.Join(out, "config.json"), filepath.Join(out, "provider_pools.json"), filepath.Join(filepath.Dir(out), "other")
	if err := os.WriteFile(other, []byte("other"), 0o444); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Chmod(config, 0o640), os.Remove(pools), os.Symlink("../other", pools), os.Chmod(other, 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := configdir.WriteDir(context.Background(), out, snap, &configdir.WriteOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]os.FileMode{config: 0o640, pools: 0o600, other: 0o644} {
		info, err := os.Lstat(p)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want mode %o", filepath.Base(p), info.Mode(), err, want)
		}
	}
	if data, err := os.ReadFile(other); err != nil || string(data) != "other" {
		t.Errorf("the target of the link is %q, %v", data, err)
	}
}

func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	snap, _ := read(t, dirtest.Configs("edge"))
	out, _ := write(t, snap)
	err := filepath.Walk(filepath.Dir(out), func(p string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", p, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
