package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A target is a Redis that the command line is pointed at, with the plain
// commands by which the tests look past it.
type target struct {
	name string
	url  string
	dump func() map[string]string
	do   func(key string, args ...string) (any, error)
}

func standalone(t *testing.T) *target {
	t.Helper()
	srv := redistest.Start(t)
	return &target{"standalone", srv.URL(), srv.Dump, func(_ string, args ...string) (any, error) { return srv.Do(args...) }}
}

func cluster(t *testing.T) *target {
	t.Helper()
	c := redistest.StartCluster(t, 3)
	return &target{"cluster", c.URL(), c.Dump, c.Do}
}

// must runs a command on the node that has the key.
func (r *target) must(t *testing.T, key string, args ...string) any {
	t.Helper()
	v, err := r.do(key, args...)
	if err != nil {
		t.Fatalf("%q: %v", args[:min(2, len(args))], err)
	}
	return v
}

// under returns everything that is stored under a prefix.
func (r *target) under(prefix string) map[string]string {
	all := r.dump()
	maps.DeleteFunc(all, func(k, _ string) bool { return !strings.HasPrefix(k, prefix) })
	return all
}

// env is the environment of commands that use a prefix of the target.
func (r *target) env(t *testing.T, prefix, configs string) map[string]string {
	return map[string]string{
		"HOME": t.TempDir(), "REDIS_URL": r.url, "REDIS_KEY_PREFIX": prefix, "POOLKEEPER_CONFIG_DIR": configs,
		// A busy machine must not look like a Redis that is away.
		"REDIS_COMMAND_TIMEOUT": "20000", "REDIS_CONNECT_TIMEOUT": "20000",
	}
}

// expect runs a command that must end with an exit code.
func expect(t *testing.T, env map[string]string, want int, stdin string, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := call(t.Context(), env, stdin, args...)
	if code != want {
		t.Fatalf("%q: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
	}
	return stdout, stderr
}

// tree reads all regular files below a root, by their slash separated paths.
func tree(t *testing.T, root string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(root, p)
		files[filepath.ToSlash(rel)] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// watch is one line for each thing below a root: what it is and what it holds. The
// directories of but are left out.
func watch(t *testing.T, root string, but ...string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if slices.Contains(but, p) {
			return filepath.SkipDir
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case d.Type() == fs.ModeSymlink:
			content, err = os.Readlink(p)
		case d.Type().IsRegular():
			var data []byte
			data, err = os.ReadFile(p)
			content = sum(data)
		}
		fmt.Fprintf(&b, "%s %s %s\n", info.Mode(), p, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func writeFiles(t *testing.T, root string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
