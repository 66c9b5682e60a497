// Package dirtest has what tests of configs/ directories share: the fixtures,
// trees of files, and random content.
package dirtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// Fixtures is where the fixtures are, from a package at the top of the module.
const Fixtures = "../testdata/fixtures"

// RoundTrips are the fixtures that an import takes whole.
var RoundTrips = []string{
	"typical", "typical-jan2026", "edge", "edge-bom",
	"edge-pwd/absent", "edge-pwd/blank", "edge-pwd/crlf", "edge-pwd/empty", "edge-pwd/invalid-utf8", "edge-pwd/multiline",
	"edge-pwd/newline", "edge-pwd/pbkdf2-malformed", "edge-pwd/pbkdf2-newline", "edge-pwd/plain", "edge-pwd/spaces", "edge-pwd/unicode",
}

// Configs is the configs/ of a fixture.
func Configs(fixture string) string {
	return filepath.Join(Fixtures, filepath.FromSlash(fixture), "configs")
}

// Manifest maps the files of a fixture, relative to its root, to their hashes.
func Manifest(t *testing.T, fixture string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(Fixtures, "MANIFEST.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(data)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if rest, in := strings.CutPrefix(name, fixture+"/"); ok && in {
			files[rest] = sum
		}
	}
	if len(files) == 0 {
		t.Fatalf("the manifest has no file of %s", fixture)
	}
	return files
}

// Expected reads a section of EXPECTED.json.
func Expected[T any](t *testing.T, section string) T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(Fixtures, "EXPECTED.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(all[section], &v); err != nil {
		t.Fatalf("%s: %v", section, err)
	}
	return v
}

// CopyTree copies a directory and returns the copy of its configs/.
func CopyTree(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, "configs")
}

// WriteTree makes files under a new root and returns its configs/.
func WriteTree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "configs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(root, "configs")
}

// Tree reads all regular files below a root, by their slash separated paths.
func Tree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(root, p)
		files[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Sum is the hash of a file, as the manifest has it.
func Sum(data string) string {
	s := sha256.Sum256([]byte(data))
	return hex.EncodeToString(s[:])
}

// SameState compares everything that readers see.
func SameState(t *testing.T, want, got *poolkeeper.Snapshot) {
	t.Helper()
	if !slices.Equal(want.Types, got.Types) {
		t.Errorf("types %q, want %q", got.Types, want.Types)
	}
	for _, typ := range want.Types {
		a, b := want.Pools[typ], got.Pools[typ]
		if b == nil || len(a.Providers) != len(b.Providers) {
			t.Errorf("pool %q differs", typ)
			continue
		}
		for i := range a.Providers {
			x, err1 := a.Providers[i].JSON()
			y, err2 := b.Providers[i].JSON()
			if err1 != nil || err2 != nil || a.Providers[i].ID != b.Providers[i].ID || !rawjson.EqualTokens(x, y) {
				t.Errorf("provider %d of %q differs: %v %v", i, typ, err1, err2)
			}
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(want.Values), poolkeeper.CompareKeys) {
		d, ok := got.Values[k]
		if !ok || !bytes.Equal(d.Data, want.Values[k].Data) || d.ExpiresAt != want.Values[k].ExpiresAt {
			t.Errorf("%s differs (there: %v)", k, ok)
		}
	}
	for k := range got.Values {
		if _, ok := want.Values[k]; !ok {
			t.Errorf("%s was added", k)
		}
	}
}
