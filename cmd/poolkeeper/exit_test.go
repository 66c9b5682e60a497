package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// full is a standard output that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestExitCodes ends commands in each of the ways that there are.
func TestExitCodes(t *testing.T) {
	w := newWorld(t, "", "")
	var environ []string
	for name, value := range w.env {
		environ = append(environ, name+"="+value)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		code   int
		ctx    context.Context
		stdout io.Writer
		says   string
		args   []string
	}{
		{poolkeeper.ExitOK, t.Context(), io.Discard, "", []string{"verify"}},
		{poolkeeper.ExitRefused, t.Context(), io.Discard, "not-found", []string{"usage", besideType, "nobody"}},
		{poolkeeper.ExitRefused, t.Context(), io.Discard, "differs", []string{"verify", "--redis-url", standaloneFilled(t), "--config-dir", filepath.Join(fixtures(t), "typical-jan2026", "configs")}},
		{poolkeeper.ExitUsage, t.Context(), io.Discard, "invalid", []string{"usage"}},
		{poolkeeper.ExitUnavailable, t.Context(), io.Discard, "unavailable", []string{"usage", "a", "b", "--redis-url", "redis://127.0.0.1:1"}},
		{poolkeeper.ExitUnavailable, t.Context(), io.Discard, "uninitialized", []string{"usage", "a", "b", "--config-dir", filepath.Join(w.dir, "nowhere")}},
		{poolkeeper.ExitUnavailable, t.Context(), full{}, "indeterminate", []string{"provider", "list"}},
		{poolkeeper.ExitUnavailable, t.Context(), full{}, "indeterminate", []string{"config", "get"}},
		{poolkeeper.ExitUnavailable, t.Context(), full{}, "indeterminate", []string{"usage", besideType, besideID}},
		{poolkeeper.ExitUnavailable, t.Context(), full{}, "indeterminate", []string{"usage", "--help"}},
		{poolkeeper.ExitInterrupted, ended, io.Discard, "cancelled", []string{"provider", "list"}},
	} {
		var errOut strings.Builder
		code := run(c.ctx, append(c.args, "--json"), environ, strings.NewReader(""), c.stdout, &errOut)
		if code != c.code || c.says != "" && !strings.Contains(errOut.String(), `"code":"`+c.says+`"`) || !strings.Contains(errOut.String(), fmt.Sprintf(`"exit":%d}`, code)) && code != 0 {
			t.Errorf("%q: exit code %d, want %d and %s: %s", c.args, code, c.code, c.says, &errOut)
		}
	}
}

// standaloneFilled is the URL of a Redis that has the typical fixture.
func standaloneFilled(t *testing.T) string {
	t.Helper()
	url := standalone(t).url
	expect(t, map[string]string{"HOME": t.TempDir(), "REDIS_URL": url}, 0, "", "import", "--config-dir", filepath.Join(fixtures(t), "typical", "configs"))
	return url
}

// TestExitCodesAreDocumented: the page of the command line and that of operations
// have each code with the words of the help, and no other.
func TestExitCodesAreDocumented(t *testing.T) {
	codes := map[string]bool{"0": true}
	for _, c := range poolkeeper.ErrorClasses() {
		codes[fmt.Sprint(c.Exit)] = true
	}
	row := regexp.MustCompile(`^\| (\d+) \| ([^|]+)`)
	for _, page := range []string{"cli.md", "operations.md"} {
		data, err := os.ReadFile(filepath.Join("../../docs", page))
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(data), "\n## Exit codes\n")
		text, _, _ = strings.Cut(text, "\n## ")
		found := map[string]bool{}
		for line := range strings.Lines(text) {
			if m := row.FindStringSubmatch(line); m != nil {
				found[m[1]] = true
				if first, _, _ := strings.Cut(m[2], ","); !strings.Contains(exitCodes, strings.TrimSpace(first)) {
					t.Errorf("%s: the help has other words for %s: %q", page, m[1], first)
				}
			}
		}
		for code := range codes {
			if !found[code] {
				t.Errorf("%s has no exit code %s", page, code)
			}
		}
		for code := range found {
			if !codes[code] {
				t.Errorf("%s has exit code %s, and no error has", page, code)
			}
		}
	}
}
