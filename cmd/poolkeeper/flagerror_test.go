package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestFlagErrors gives flags what they do not take: the error says what they do, and
// repeats no value, which may be a secret in the wrong place.
func TestFlagErrors(t *testing.T) {
	const secret = "hunter2"
	for _, c := range []struct {
		line, says, hint string
	}{
		{"usage t a --number hunter2", "usage: --number takes a whole number, as in --number 5", "see poolkeeper usage --help"},
		{"usage t a -n hunter2", "usage: --number takes a whole number, as in --number 5", "see poolkeeper usage --help"},
		{"usage t a -n 99999999999999999999", "usage: --number takes a smaller whole number, as in --number 5", "see poolkeeper usage --help"},
		{"bench --duration hunter2", "bench: --duration takes a time with its unit, as in --duration 3s", "see poolkeeper bench --help"},
		{"import --dry-run=hunter2", "import: --dry-run takes true or false, or no value, as in --dry-run=false", "see poolkeeper import --help"},
		{"status --config-dir", "status: --config-dir has no value: --config-dir DIR", "see poolkeeper status --help"},
		{"status -phunter2", "status: there is no flag -p", "see poolkeeper status --help; an argument that begins with - goes after --"},
		{"status --pass=hunter2", "status: there is no flag --pass", "see poolkeeper status --help"},
		{"status --config_dir=hunter2", "status: there is no flag --config_dir", "see poolkeeper status --help; did you mean --config-dir?"},
		{"import --dry", "import: there is no flag --dry", "see poolkeeper import --help; did you mean --dry-run?"},
		{"status --=hunter2", "status: a flag has no name: flags are written as --NAME, --NAME VALUE or --NAME=VALUE", "see poolkeeper status --help"},
		{"sk-hunter2hunter2", `unknown command "****" for poolkeeper`, "see poolkeeper --help"},
	} {
		args := strings.Fields(c.line)
		code, out, errOut := call(t.Context(), nil, "", args...)
		if want := "poolkeeper: " + c.says + "\nhint: " + c.hint + "\n"; code != poolkeeper.ExitUsage || out != "" || errOut != want {
			t.Errorf("%s: exit code %d\n got %swant %s", c.line, code, errOut, want)
		}
		if strings.Contains(errOut, secret) {
			t.Errorf("%s shows the value: %s", c.line, errOut)
		}
		// Wherever --json stands, the error is JSON.
		for _, at := range []int{0, len(args)} {
			if at == len(args) && strings.HasSuffix(c.line, "--config-dir") {
				continue // it would be the value
			}
			flagged := append(append(append([]string{}, args[:at]...), "--json"), args[at:]...)
			var e struct {
				Error struct {
					Code, Message, Hint string
					Exit                int
				}
			}
			if _, _, errOut := call(t.Context(), nil, "", flagged...); json.Unmarshal([]byte(errOut), &e) != nil ||
				e.Error.Message != c.says || e.Error.Hint != c.hint || e.Error.Code != "invalid" || e.Error.Exit != poolkeeper.ExitUsage {
				t.Errorf("%q: %s", flagged, errOut)
			}
		}
	}
	for _, args := range [][]string{{"status", "--json=false", "--x"}, {"status", "--x", "--", "--json"}} {
		if _, _, errOut := call(t.Context(), nil, "", args...); !strings.HasPrefix(errOut, "poolkeeper: ") {
			t.Errorf("%q: %s", args, errOut)
		}
	}
}
