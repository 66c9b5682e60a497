package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A source is a directory to import, with what must be true of it. Nothing of
// that is found out by the code under test.
type source struct {
	name      string
	root      string            // the parent of configs/
	files     map[string]string // every regular file below the root: its SHA-256
	transient []string          // those that need not be exported
	providers int
	tokens    int
	config    bool
}

func (s *source) configs() string { return filepath.Join(s.root, "configs") }

// summary is the line that an import of the source ends with.
func (s *source) summary() string {
	line := fmt.Sprintf("Migrated %d providers, %d tokens", s.providers, s.tokens)
	if s.config {
		line += ", config"
	}
	return line
}

// fixtureSource is a fixture as its manifest describes it. tokens are the
// stored ones: of two files that one provider names, the second is carried.
func fixtureSource(t *testing.T, name string, providers, tokens int) *source {
	t.Helper()
	s := &source{name: name, root: filepath.Join(fixtures(t), filepath.FromSlash(name)), files: map[string]string{}, providers: providers, tokens: tokens}
	manifest, err := os.ReadFile(filepath.Join(fixtures(t), "MANIFEST.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(manifest)) {
		hash, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if rest, ok := strings.CutPrefix(path, name+"/"); ok {
			s.files[rest] = hash
		}
	}
	_, s.config = s.files["configs/config.json"]
	if len(s.files) == 0 {
		t.Fatalf("%s has no files", name)
	}
	if strings.HasPrefix(name, "edge-pwd/") { // of which nothing but the password is known
		return s
	}
	expected, err := os.ReadFile(filepath.Join(fixtures(t), "EXPECTED.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(expected, &all); err != nil {
		t.Fatal(err)
	}
	var fact struct {
		Providers int      `json:"providers_total"`
		Transient []string `json:"transient_files"`
	}
	if err := json.Unmarshal(all[name], &fact); err != nil || fact.Providers != providers {
		t.Fatalf("%s: %d providers: %v", name, fact.Providers, err)
	}
	s.transient = fact.Transient
	return s
}

func fixtureSources(t *testing.T) []*source {
	all := []*source{fixtureSource(t, "typical", 14, 10), fixtureSource(t, "typical-jan2026", 2, 2), fixtureSource(t, "edge", 40, 22), fixtureSource(t, "edge-bom", 1, 0)}
	variants, err := os.ReadDir(filepath.Join(fixtures(t), "edge-pwd"))
	if err != nil || len(variants) != 12 {
		t.Fatalf("%d variants of edge-pwd: %v", len(variants), err)
	}
	for _, v := range variants {
		all = append(all, fixtureSource(t, "edge-pwd/"+v.Name(), 0, 0))
	}
	return all
}

// prefix is where in Redis the source goes.
func (s *source) prefix() string { return strings.ReplaceAll(s.name, "/", "-") + ":" }

// isAppStyle reports whether a document is as the application writes it: two
// spaces, no line end at the end.
func isAppStyle(t *testing.T, doc []byte) bool {
	var b bytes.Buffer
	if err := json.Indent(&b, compact(t, doc), "", "  "); err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(b.Bytes(), doc)
}

// compact is a document without white space, every literal as it is.
func compact(t *testing.T, doc []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, doc); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// literals are the pools of a document in their order, each without white
// space, every literal in it as it is, after the type.
func literals(t *testing.T, doc []byte) []string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(doc))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	var out []string
	for dec.More() {
		typ, err := dec.Token()
		var pool json.RawMessage
		if err != nil || dec.Decode(&pool) != nil {
			t.Fatalf("after %v: %v", typ, err)
		}
		out = append(out, fmt.Sprintf("%q: %s", typ, compact(t, pool)))
	}
	return out
}
