package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// minSecret is the least length of what is looked for: shorter ones occur by
// chance.
const minSecret = 8

// secretField matches the names of fields that hold secrets. It is broader
// than what the command line goes by, but for paths, which say where one is.
var (
	secretField = regexp.MustCompile(`(?i)key|token|secret|passw|pwd|cookie|base64|cred|bearer|clearance|private`)
	pathField   = regexp.MustCompile(`(?i)path$|url$|^checkModel`)
)

// allSecrets collects every secret of a directory: all string values of token
// files, fields that are named like secrets, the password, the bearers.
func allSecrets(t *testing.T, root string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, s := range secretsOf(t, root) {
		found[s] = true
	}
	for p, data := range tree(t, root) {
		switch base := filepath.Base(p); {
		case base == "pwd":
			add(found, strings.TrimSpace(string(data)))
		case base == "token-store.json":
			var doc struct{ Tokens map[string]json.RawMessage }
			if err := json.Unmarshal(data, &doc); err != nil {
				t.Fatal(err)
			}
			for bearer := range doc.Tokens {
				add(found, bearer)
			}
		default:
			// Of directories with tokens everything counts.
			inToken := strings.Count(p, "/") > 1 || strings.HasPrefix(base, "kiro_creds")
			var v any
			if json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &v) == nil {
				collect(found, v, inToken)
			}
		}
	}
	for p := range tree(t, root) {
		base := filepath.Base(p) // one token names a file beside it
		delete(found, strings.TrimSuffix(base, filepath.Ext(base)))
	}
	return found
}

func add(found map[string]bool, s string) {
	if len(s) >= minSecret {
		found[s] = true
	}
}

func collect(found map[string]bool, v any, secret bool) {
	switch v := v.(type) {
	case string:
		if secret {
			add(found, v)
		}
	case []any:
		for _, e := range v {
			collect(found, e, secret)
		}
	case map[string]any:
		for name, e := range v {
			collect(found, e, secret || secretField.MatchString(name) && !pathField.MatchString(name))
		}
	}
}

// noLeak looks for secrets in all output of a test.
func noLeak(t *testing.T, secrets map[string]bool, output map[string]string) {
	t.Helper()
	if len(secrets) < 50 {
		t.Errorf("only %d secrets are known", len(secrets))
	}
	for where, text := range output {
		for s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s has the secret %q", where, s)
			}
		}
	}
}

// mustWrite writes one file for a test.
func mustWrite(t *testing.T, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}
