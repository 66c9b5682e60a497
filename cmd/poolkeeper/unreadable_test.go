//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestUnreadable runs the commands as a user for whom permission bits count, as
// root does not: what cannot be read is refused whole and by name, and what
// cannot be written leaves nothing behind.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	r := standalone(t)
	// The directories of go test belong to its own user alone.
	base, err := os.MkdirTemp("", "poolkeeper-unreadable-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		filepath.WalkDir(base, func(p string, _ fs.DirEntry, _ error) error { os.Chmod(p, 0o700); return nil })
		os.RemoveAll(base)
	})
	root := filepath.Join(base, "root")
	if err := os.CopyFS(root, os.DirFS(filepath.Join(fixtures(t), "broken", "unreadable"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "target"), 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(os.Args[0]) // by this name it is the command itself
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "poolkeeper"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	asRoot := os.Getuid() == 0
	if asRoot {
		err := filepath.WalkDir(base, func(p string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Chmod(p, 0o755), os.Chown(p, nobody, nobody))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	command := func(prefix string, args ...string) (code int, output string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(base, "poolkeeper"), args...)
		cmd.Dir = base
		cmd.Env = []string{"HOME=" + base, "TMPDIR=" + base, "REDIS_URL=" + r.url, "REDIS_KEY_PREFIX=" + prefix, "REDIS_COMMAND_TIMEOUT=20000", "POOLKEEPER_CONFIG_DIR=" + filepath.Join(root, "configs")}
		if asRoot {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if code, out := command("whole:", "import"); code != 0 {
		t.Fatalf("as it is: exit code %d: %s", code, out)
	}
	for variant, c := range map[string]struct {
		path string
		mode os.FileMode
		args []string
	}{
		"A":                        {"configs/kiro/locked/locked.json", 0, []string{"import"}},
		"B":                        {"configs/provider_pools.json", 0, []string{"import"}},
		"C":                        {"configs", 0, []string{"import"}},
		"D":                        {"target", 0o555, []string{"export", "--output-dir", filepath.Join(root, "target")}},
		"the configuration":        {"configs/config.json", 0, []string{"import"}},
		"the password":             {"configs/pwd", 0, []string{"import"}},
		"directory without a list": {"configs/kiro/locked", 0o300, []string{"import"}},
		"directory without entry":  {"configs/kiro/locked", 0o600, []string{"import"}},
		"verify":                   {"configs/kiro/locked/locked.json", 0, []string{"verify"}},
	} {
		p := filepath.Join(root, filepath.FromSlash(c.path))
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		stored := redistest.Hash(r.dump())
		if err := os.Chmod(p, c.mode); err != nil {
			t.Fatal(err)
		}
		prefix := "none:"
		if variant == "D" || variant == "verify" {
			prefix = "whole:"
		}
		code, out := command(prefix, c.args...)
		if err := os.Chmod(p, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
		class, _ := poolkeeper.ClassOfCode("forbidden")
		if code != class.Exit || !strings.Contains(out, c.path) || !strings.Contains(out, "permission denied") {
			t.Errorf("%s: exit code %d, want %d and %s: %s", variant, code, class.Exit, c.path, out)
		}
		if redistest.Hash(r.dump()) != stored {
			t.Errorf("%s: Redis was changed", variant)
		}
		if files := tree(t, filepath.Join(root, "target")); len(files) != 0 {
			t.Errorf("%s: %d files were written", variant, len(files))
		}
	}
}
