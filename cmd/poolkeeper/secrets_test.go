package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// secretForm finds the secrets of the fixtures: what is marked as fake, keys
// and session bearers. A short prefix of each is enough to know it by.
var secretForm = regexp.MustCompile(`FAKE[-A-Za-z0-9_.+/=%]{4,}|maki_[0-9a-f]{32}|pbkdf2:[0-9a-f:]+|"[0-9a-f]{64}"`)

func secretsOf(t *testing.T, root string) []string {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, s := range secretForm.FindAllString(string(data), -1) {
			found[strings.Trim(s, `"`)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for s := range found {
		secrets = append(secrets, s)
	}
	if len(secrets) < 20 {
		t.Fatalf("only %d secrets found in %s", len(secrets), root)
	}
	return secrets
}

// TestNoSecretIsPrinted runs every command that reads, and failing ones, on
// the fixtures, and looks for their secrets in what is printed.
func TestNoSecretIsPrinted(t *testing.T) {
	srv := redistest.Start(t)
	for _, fixture := range []string{"typical", "edge"} {
		t.Run(fixture, func(t *testing.T) {
			root := filepath.Join(fixtures(t), fixture)
			secrets := append(secretsOf(t, root), "pässwörd", "fixture-Passw0rd")
			env := map[string]string{
				"HOME": t.TempDir(), "REDIS_URL": srv.URL(), "REDIS_KEY_PREFIX": fixture + ":", "POOLKEEPER_LOG_LEVEL": "debug",
				"POOLKEEPER_API_KEY": "FAKE-service-key-of-its-own", "POOLKEEPER_CONFIG_DIR": filepath.Join(root, "configs"),
			}
			secrets = append(secrets, env["POOLKEEPER_API_KEY"])
			ok := func(want int, stdin string, args ...string) string {
				t.Helper()
				code, out, errOut := call(t.Context(), env, stdin, args...)
				if code != want {
					t.Errorf("%q: exit code %d, want %d: %s", args, code, want, errOut)
				}
				for _, s := range secrets {
					if strings.Contains(out+errOut, s) {
						t.Errorf("%q prints the secret %s", args, s)
					}
				}
				return out
			}
			ok(0, "", "import", "--dry-run", "--json")
			ok(0, "", "import", "--json")
			ok(0, "", "verify")
			ok(0, "", "status", "--json")
			ok(0, "", "config", "get")
			ok(0, "", "config", "get", "REQUIRED_API_KEY")
			ok(0, "", "provider", "list")
			ok(0, "", "provider", "list", "--json")
			for line := range strings.Lines(ok(0, "", "doc", "list")) {
				if name, _, _ := strings.Cut(line, " "); name != "NAME" {
					ok(0, "", "doc", "get", name)
				}
			}
			pools := map[string]string{}
			for line := range strings.Lines(ok(0, "", "provider", "list")) {
				if f := strings.Fields(line); len(f) > 2 && !strings.HasPrefix(f[0], `"`) && !strings.HasPrefix(f[1], `"`) && f[0] != "TYPE" && f[1] != "(no" {
					pools[f[1]] = f[0]
				}
			}
			if len(pools) < 10 {
				t.Errorf("only %d providers", len(pools))
			}
			for id, typ := range pools {
				ok(0, "", "provider", "get", typ, id)
				ok(0, "", "provider", "get", typ, id, "--definition")
				// Whether there is a token, and one that can be masked, differs.
				code, out, errOut := call(t.Context(), env, "", "token", "get", typ, id)
				if code > 1 {
					t.Errorf("token get %s %s: %d %s", typ, id, code, errOut)
				}
				for _, s := range secrets {
					if strings.Contains(out+errOut, s) {
						t.Errorf("token get %s %s prints %s", typ, id, s)
					}
				}
			}
			// Failures of all sorts, with secrets where they do not belong.
			const wrong = `{"access_token": "FAKE-of-the-test",}`
			secrets = append(secrets, "FAKE-of-the-test")
			ok(2, wrong, "token", "set", "a", "b")
			ok(2, wrong, "provider", "add", "a")
			ok(2, wrong, "config", "set", "--file", "-")
			ok(2, wrong, "config", "set", "--merge", "-")
			ok(2, wrong, "doc", "set", "x", "--file", "-")
			ok(2, "FAKE-of-the-test", "config", "set", "--json-patch", "-")
			ok(2, "", "config", "set", "FAKE-of-the-test")
			ok(2, "", "password", "set", "FAKE-of-the-test")
			ok(0, "FAKE-of-the-test\n", "password", "set")
			ok(1, "", "verify")
			ok(1, "", "verify", "--json")
			ok(2, "", "config", "get", "--redis-url", "redis://:FAKE-of-the-test@h:port/x?y")
			ok(3, "", "config", "get", "--redis-url", "redis://:FAKE-of-the-test@127.0.0.1:1")
			ok(3, "", "status", "--redis-url", "redis://:FAKE-of-the-test@127.0.0.1:1")
			ok(1, "", "export", "--output-dir", root)
			ok(0, "", "export", "--output-dir", filepath.Join(t.TempDir(), "configs"), "--json")
			delete(env, "REDIS_URL")
			ok(3, "", "config", "get", "--redis-url", "redis://user@127.0.0.1:1")
			ok(0, "", "config", "get", "--backend", "memory")
			env["REDIS_PASSWORD"], env["REDIS_HOST"], env["REDIS_PORT"] = "FAKE-of-the-test", "127.0.0.1", "1"
			ok(3, "", "status")
		})
	}
}
