package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// A side is a store that commands are run on.
type side struct {
	name    string
	env     map[string]string
	flags   []string
	configs string
}

// run runs a command that must succeed.
func (s *side) run(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, _ := expect(t, s.env, 0, stdin, append(slices.Clone(s.flags), args...)...)
	return out
}

// bothSides are a store on Redis and one on files, each with what is in a fixture.
func bothSides(t *testing.T, fixture string) []*side {
	t.Helper()
	from := filepath.Join(fixtures(t), fixture)
	redis := &side{name: "redis", configs: dirtest.CopyTree(t, from)}
	redis.env = standalone(t).env(t, "both:", redis.configs)
	redis.run(t, "", "import")
	files := &side{name: "files", flags: []string{"--backend", "file"}, configs: dirtest.CopyTree(t, from)}
	files.env = map[string]string{"HOME": t.TempDir(), "POOLKEEPER_CONFIG_DIR": files.configs}
	return []*side{redis, files}
}

// idOf finds the id of a provider by a part of its name, as a reader of the list does.
func (s *side) idOf(t *testing.T, typ, name string) string {
	t.Helper()
	list := s.run(t, "", "provider", "list", "--", typ)
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); strings.Contains(line, name) {
			return f[1]
		}
	}
	t.Fatalf("no provider is named %q:\n%s", name, list)
	return ""
}

// TestRenamesAndSharedTokens: a provider is renamed twice, and each of its ids, in
// every command, leads to it; the token that it shares is one for all who share it,
// whoever puts it; and the gateway finds all of that in the export, and every other
// token as it was.
func TestRenamesAndSharedTokens(t *testing.T) {
	t.Parallel()
	const g = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	sides := bothSides(t, "edge")
	for _, s := range sides {
		byHand := dirtest.CopyTree(t, filepath.Join(fixtures(t), "edge"))
		kiro := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: s.idOf(t, "claude-kiro-oauth", "E03 ")}
		if !strings.HasPrefix(kiro.ID, "~") {
			t.Fatalf("the id %s is not derived", kiro.ID)
		}
		for _, c := range []struct {
			name          string
			first, sharer poolkeeper.Ref
			file          string
		}{
			{"within a pool", poolkeeper.Ref{Type: kiro.Type, ID: "7d178b6f-de0e-422c-ab3c-bd897f63d392"}, kiro, "kiro/shared/shared-token.json"},
			{"across pools", poolkeeper.Ref{Type: "gemini-cli-oauth", ID: g}, poolkeeper.Ref{Type: "gemini-antigravity", ID: g}, "gemini/shared_google.json"},
		} {
			t.Run(s.name+"/"+c.name, func(t *testing.T) { renames(t, s, c.first, c.sharer, filepath.Join(byHand, c.file)) })
		}
		t.Run(s.name+"/the first of a duplicate", func(t *testing.T) {
			const e01 = "0f5f1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b"
			s.run(t, "", "provider", "rename", "--", kiro.Type, e01, "no-duplicate")
			s.run(t, "", "usage", "--", kiro.Type, e01)
			if a, b := s.idOf(t, kiro.Type, "E01 "), s.idOf(t, kiro.Type, "E03 "); a != "no-duplicate" || b != kiro.ID {
				t.Errorf("they are now %s and %s", a, b)
			}
		})
		t.Run(s.name+"/export", func(t *testing.T) {
			exported := filepath.Join(t.TempDir(), "root", "configs")
			s.run(t, "", "export", "--output-dir", exported)
			checkCredentials(t, filepath.Dir(byHand), filepath.Dir(exported))
			if s.name == "redis" {
				s.run(t, "", "verify", "--config-dir", exported)
				return
			}
			// The files say the same themselves, and so does Redis after an import of the export.
			checkCredentials(t, filepath.Dir(byHand), filepath.Dir(s.configs))
			s.run(t, "", "verify")
			other := sides[0]
			other.run(t, "", "import", "--config-dir", exported, "--key-prefix", "other:")
			other.run(t, "", "verify", "--config-dir", s.configs, "--key-prefix", "other:")
		})
	}
}

// renames tells the story of one pair. file is the token that the two share, in a
// directory in which everything is done by hand.
func renames(t *testing.T, s *side, first, sharer poolkeeper.Ref, file string) {
	run := func(stdin string, args ...string) string {
		t.Helper()
		return s.run(t, stdin, args...)
	}
	token := func(r poolkeeper.Ref) string { return run("", "token", "get", "--reveal", "--", r.Type, r.ID) }
	ids := []poolkeeper.Ref{first}
	before := token(first)
	data, err := os.ReadFile(file)
	if err != nil || before != string(data) {
		t.Errorf("before anything was done the token is %q, and in the file %q, %v", before, data, err)
	}
	var uses float64
	for i, id := range []string{"renamed once", "renamed-twice"} {
		run("", "provider", "rename", "--", first.Type, ids[i].ID, id)
		ids = append(ids, poolkeeper.Ref{Type: first.Type, ID: id})
		for _, r := range ids {
			var said struct {
				ID         string
				UsageCount float64
			}
			if err := json.Unmarshal([]byte(run("", "usage", "-n", "3", "--json", "--", r.Type, r.ID)), &said); err != nil {
				t.Fatal(err)
			}
			if said.ID != id || uses > 0 && said.UsageCount != uses+3 {
				t.Errorf("used as %q it is %q with %v uses, want %q with %v", r.ID, said.ID, said.UsageCount, id, uses+3)
			}
			uses = said.UsageCount
			if got := token(r); got != before {
				t.Errorf("as %q it has the token %q, want %q", r.ID, got, before)
			}
		}
		if got := token(sharer); got != before {
			t.Errorf("the one who shares it has %q, want %q", got, before)
		}
	}
	// Whoever puts it, all have it.
	everyone := append([]poolkeeper.Ref{sharer}, ids...)
	for i, by := range append(everyone, sharer) {
		put := `{"put":` + string(rune('0'+i)) + `}`
		run(put, "token", "set", "--", by.Type, by.ID)
		for _, r := range everyone {
			if got := token(r); got != put {
				t.Errorf("put by %s, %s has %q", by, r, got)
			}
		}
		if err := os.WriteFile(file, []byte(put), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// It is one provider, and it says its new name.
	var list []struct{ UUID any }
	if err := json.Unmarshal([]byte(run("", "provider", "list", "--json", "--", first.Type)), &list); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range list {
		switch p.UUID {
		case "renamed-twice":
			n++
		case first.ID, "renamed once":
			t.Errorf("there is one still named %q", p.UUID)
		}
	}
	if n != 1 {
		t.Errorf("%d have the new name: %v", n, list)
	}
}
