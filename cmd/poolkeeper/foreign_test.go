package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A Redis as a fork leaves it is imported, on every kind of server, by itself
// and in place; what is exported then is a directory in which the gateway finds
// every token, and nothing that is printed has a secret.
func TestForeignToDirectory(t *testing.T) {
	for _, start := range []func(*testing.T) *target{standalone, cluster} {
		r := start(t)
		for _, prefix := range []string{"fork:", "place:"} {
			cmds, err := forkCommands(prefix)
			if err != nil {
				t.Fatal(err)
			}
			for _, cmd := range cmds {
				r.must(t, cmd[1], cmd...)
			}
		}
		env := r.env(t, "new:", filepath.Join(t.TempDir(), "no-configs"))
		printed := ""
		do := func(want int, args ...string) string {
			t.Helper()
			out, errOut := expect(t, env, want, "", args...)
			printed += out + errOut
			return out
		}
		for _, args := range [][]string{
			{"import", "--from-redis", r.url, "--from-key-prefix", "fork:"},
			{"import", "--from-redis", r.url, "--key-prefix", "place:", "--in-place"},
		} {
			name := r.name + " " + args[len(args)-1]
			before := redistest.Hash(r.dump())
			do(0, append(args, "--dry-run")...)
			if redistest.Hash(r.dump()) != before {
				t.Errorf("%s: a dry run changed something", name)
			}
			if out := do(0, args...); out != "Migrated 4 providers, 3 tokens, config\n16 changes\n" {
				t.Errorf("%s: %s", name, out)
			}
			var said struct {
				Changes  int
				Restored bool
				Report   struct{ Warnings []struct{ Path, Code string } }
			}
			if err := json.Unmarshal([]byte(do(0, append(args, "--json")...)), &said); err != nil || said.Changes != 0 || said.Restored {
				t.Errorf("%s: a second time: %+v, %v", name, said, err)
			}
			dir := filepath.Join(t.TempDir(), "configs")
			store := "new:"
			if args[3] == "--key-prefix" {
				store = "place:"
			}
			do(0, "export", "--output-dir", dir, "--key-prefix", store)
			resolves(t, name, dir, 3)
			do(0, "verify", "--config-dir", dir, "--key-prefix", store)
		}
		// As where it was cut off when all was done but the tidying up.
		r.must(t, "place:tokens:openai-codex:x", "SET", "place:tokens:openai-codex:x", `{"access_token":"FAKE"}`)
		r.must(t, "place:leftovers:{place:meta}", "SADD", "place:leftovers:{place:meta}", "place:tokens:openai-codex:x")
		in := []string{"import", "--in-place", "--key-prefix", "place:"}
		do(0, append(in, "--dry-run")...)
		if _, left := r.under("place:tokens:openai-codex:")["place:tokens:openai-codex:x"]; !left {
			t.Error("a dry run tidied up")
		}
		if out := do(0, in...); out != "Migrated 4 providers, 3 tokens, config\n0 changes\n" || len(r.under("place:tokens:openai-codex:"))+len(r.under("place:leftovers")) != 0 {
			t.Errorf("%s, left %v", out, r.under("place:tokens:openai-codex:"))
		}
		for _, secret := range []string{"FAKE", "admin123", "743c7e67608a9934"} {
			if strings.Contains(printed, secret) {
				t.Errorf("%s: the secret %s was printed", r.name, secret)
			}
		}
	}
}

// resolves looks for every token of a directory as the gateway does: by its
// path, from the parent of the directory.
func resolves(t *testing.T, name, dir string, want int) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "provider_pools.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pools map[string][]json.RawMessage
	if err := json.Unmarshal(data, &pools); err != nil {
		t.Fatal(err)
	}
	found := 0
	for typ, pool := range pools {
		for _, def := range pool {
			for _, p := range poolkeeper.TokenPaths(def) {
				var token map[string]any
				data, err := os.ReadFile(filepath.Join(filepath.Dir(dir), p.Raw))
				if err == nil {
					err = json.Unmarshal(data, &token)
				}
				if err != nil || p.Outside {
					t.Errorf("%s: %s %s: %v", name, typ, p.Raw, err)
				}
			}
			if len(poolkeeper.TokenPaths(def)) > 0 {
				found++
			}
		}
	}
	if found != want {
		t.Errorf("%s: %d providers have a token, want %d", name, found, want)
	}
	var sessions struct{ Tokens map[string]any }
	data, err = os.ReadFile(filepath.Join(dir, "token-store.json"))
	if err == nil {
		err = json.Unmarshal(data, &sessions)
	}
	if err != nil || len(sessions.Tokens) != 1 {
		t.Errorf("%s: %d sessions, %v", name, len(sessions.Tokens), err)
	}
}
