//go:build unix

package transfer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/transfer"
)

// TestSpecialFiles has pipes, which block whoever opens them.
func TestSpecialFiles(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"configs/provider_pools.json": `{"t":[{"uuid":"1","A_TOKEN_FILE_PATH":"configs/pipe"},{"uuid":"2","A_TOKEN_FILE_PATH":"pipe"}]}`,
	})
	for _, p := range []string{"pipe", "../pipe"} {
		if err := syscall.Mkfifo(filepath.Join(dir, p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link(t, "../pipe", filepath.Join(dir, "link"))
	snap, report := read(t, dir)
	if len(snap.Values) != 0 || len(whereOf(report, transfer.CodeSpecial)) != 4 {
		t.Errorf("%v, %v", values(snap), report.Warnings)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pwd"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := transfer.ReadDir(context.Background(), dir, nil); !errors.Is(err, poolkeeper.ErrInvalid) {
		t.Errorf("pwd is a pipe: %v", err)
	}
}

func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	snap, _ := read(t, configsOf("edge"))
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
