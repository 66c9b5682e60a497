package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// TestTokenOutsideOfFiles: on a store in files a token file outside of the parent of
// the directory is refused, with its name and the way out, and stays what it is.
func TestTokenOutsideOfFiles(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "x.json")
	writeFiles(t, filepath.Dir(outside), map[string][]byte{"x.json": []byte(`{"refreshToken":"SECRET"}`)})
	configs := dirtest.WriteTree(t, map[string]string{
		"configs/provider_pools.json": `{"t":[{"uuid":"a","X_TOKEN_FILE_PATH":"` + filepath.ToSlash(outside) + `"}]}`, "configs/config.json": `{}`})
	env := map[string]string{"HOME": t.TempDir(), "POOLKEEPER_CONFIG_DIR": configs}
	for _, c := range []struct {
		stdin string
		args  []string
		says  []string
	}{
		{"", []string{"token", "get", "t", "a"}, []string{outside, "configs/TYPE/NAME.json"}},
		{`{"n":1}`, []string{"token", "set", "t", "a"}, []string{outside, "configs/TYPE/NAME.json"}},
		{"", []string{"token", "get", "t", "a"}, []string{outside, "configs/TYPE/NAME.json"}}, // once it was opened
		{"", []string{"import", "--allow-external"}, []string{"nothing outside of its parent", "leave --allow-external out"}},
	} {
		code, stdout, stderr := call(t.Context(), env, c.stdin, append([]string{"--backend", "file"}, c.args...)...)
		for _, s := range c.says {
			if code != 1 || !strings.Contains(stderr, s) || strings.Contains(stdout+stderr, "SECRET") {
				t.Errorf("%q: exit code %d, and not %q:\n%s%s", c.args, code, s, stdout, stderr)
			}
		}
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != `{"refreshToken":"SECRET"}` {
		t.Errorf("the file is %q, %v", data, err)
	}
}
