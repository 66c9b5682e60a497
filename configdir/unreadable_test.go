//go:build unix

package configdir_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

const asOther = "POOLKEEPER_TEST_UNREADABLE"

// TestUnreadable needs a uid for which permission bits count. As root it runs
// itself once more under another one.
func TestUnreadable(t *testing.T) {
	if root := os.Getenv(asOther); root != "" {
		testUnreadable(t, root)
		return
	}
	// The directories of go test belong to its own uid alone.
	base, err := os.MkdirTemp("", "poolkeeper-unreadable-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		filepath.Walk(base, func(p string, info os.FileInfo, err error) error { os.Chmod(p, 0o700); return nil })
		os.RemoveAll(base)
	})
	if err := os.CopyFS(filepath.Join(base, "root"), os.DirFS(filepath.Join(dirtest.Fixtures, "broken", "unreadable"))); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		testUnreadable(t, filepath.Join(base, "root"))
		return
	}
	const nobody = 65534
	binary := filepath.Join(base, "test")
	copyFile(t, os.Args[0], binary)
	err = filepath.Walk(base, func(p string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if err := os.Chmod(p, info.Mode().Perm()|0o755); err != nil {
			return err
		}
		return os.Chown(p, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run=^TestUnreadable$", "-test.v")
	cmd.Dir = base
	cmd.Env = []string{asOther + "=" + filepath.Join(base, "root"), "TMPDIR=" + base, "HOME=" + base}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestUnreadable/D") {
		t.Fatalf("under another uid: %v\n%s", err, out)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func testUnreadable(t *testing.T, root string) {
	ctx := context.Background()
	dir := filepath.Join(root, "configs")
	if _, _, err := configdir.ReadDir(ctx, dir, nil); err != nil {
		t.Fatalf("as it is: %v", err)
	}
	for variant, c := range map[string]struct {
		path string
		mode os.FileMode
	}{
		"A":                        {"configs/kiro/locked/locked.json", 0},
		"B":                        {"configs/provider_pools.json", 0},
		"C":                        {"configs", 0},
		"directory without a list": {"configs/kiro/locked", 0o300},
	} {
		t.Run(variant, func(t *testing.T) {
			restore := chmod(t, filepath.Join(root, c.path), c.mode)
			defer restore()
			snap, _, err := configdir.ReadDir(ctx, dir, nil)
			if !errors.Is(err, poolkeeper.ErrForbidden) || snap != nil {
				t.Fatalf("error %v, want ErrForbidden", err)
			}
			if !strings.Contains(err.Error(), c.path) {
				t.Errorf("the error does not name %s: %v", c.path, err)
			}
		})
	}
	t.Run("D", func(t *testing.T) {
		snap, _, err := configdir.ReadDir(ctx, dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(root, "target")
		if err := os.Mkdir(target, 0o755); err != nil {
			t.Fatal(err)
		}
		defer chmod(t, target, 0o555)()
		if _, err := configdir.WriteDir(ctx, target, snap, nil); !errors.Is(err, poolkeeper.ErrForbidden) {
			t.Fatalf("error %v, want ErrForbidden", err)
		}
		if entries, _ := os.ReadDir(target); len(entries) != 0 {
			t.Errorf("%d things were written", len(entries))
		}
	})
}

func chmod(t *testing.T, p string, mode os.FileMode) (restore func()) {
	t.Helper()
	info, err := os.Stat(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		t.Fatal(err)
	}
	return func() { os.Chmod(p, info.Mode().Perm()) }
}
