package dirtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFixtures checks the fixtures against their manifest, both ways: a fixture
// that a tool or an editor has changed proves nothing.
func TestFixtures(t *testing.T) {
	root := filepath.Join("..", Fixtures)
	data, err := os.ReadFile(filepath.Join(root, "MANIFEST.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(data)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || want[name] != "" {
			t.Errorf("line %q", line)
		}
		want[name] = sum
	}
	if len(want) < 200 {
		t.Errorf("the manifest has only %d files", len(want))
	}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !strings.Contains(name, "/") || name == "golden/selection-vectors.json" {
			return nil // no part of a directory to import
		}
		got, err := fingerprint(p, d)
		if err != nil {
			return err
		}
		if got != want[name] {
			t.Errorf("%s is %s, and %q by the manifest", name, got, want[name])
		}
		delete(want, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

// fingerprint is what the manifest has for a file.
func fingerprint(p string, d fs.DirEntry) (string, error) {
	if d.Type() == fs.ModeSymlink {
		target, err := os.Readlink(p)
		return "link:" + filepath.ToSlash(target), err
	}
	data, err := os.ReadFile(p)
	return Sum(string(data)), err
}
