package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// systemd returns systemd-analyze; where it is missing the test says how to get
// it, and fails: a unit that nobody verified is worth nothing.
func systemd(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is missing; it is in the package systemd: apt-get install systemd (as root), or run scripts/require-systemd")
	}
	return path
}

// TestUnit: systemd itself finds no fault in the unit, and little that the
// service could do to the machine.
func TestUnit(t *testing.T) {
	analyze := systemd(t)
	text := read(t, "poolkeeper.service")
	const installed = "/usr/local/bin/poolkeeper"
	if strings.Count(text, installed) != 1 {
		t.Fatalf("the unit does not start %s", installed)
	}
	unit := filepath.Join(t.TempDir(), "poolkeeper.service")
	if err := os.WriteFile(unit, []byte(strings.Replace(text, installed, program(t), 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", "--recursive-errors=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "poolkeeper.service") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err = exec.Command(analyze, "security", "--offline=yes", "--no-pager", unit).CombinedOutput()
	if err != nil {
		t.Fatalf("security: %v\n%s", err, out)
	}
	level := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if level == nil {
		t.Fatalf("security says no level:\n%s", out)
	}
	if v, err := strconv.ParseFloat(string(level[1]), 64); err != nil || v > 1.5 {
		t.Errorf("the exposure is %s, want at most 1.5:\n%s", level[1], out)
	}
}

// TestUnitCommand starts the service with the environment of the unit, its
// credentials and directories put where systemd would put them.
func TestUnitCommand(t *testing.T) {
	srv := redistest.Start(t)
	credentials, state := t.TempDir(), t.TempDir()
	given := map[string]string{"redis-url": srv.URL() + "\n", "api-key": apiKey + "\n"}
	var env []string
	loaded := 0
	for _, line := range lines(read(t, "poolkeeper.service")) {
		if rest, ok := strings.CutPrefix(line, "LoadCredential="); ok {
			name, _, _ := strings.Cut(rest, ":")
			if given[name] == "" {
				t.Fatalf("the unit loads a credential %s", name)
			}
			if err := os.WriteFile(filepath.Join(credentials, name), []byte(given[name]), 0o400); err != nil {
				t.Fatal(err)
			}
			loaded++
		}
		if rest, ok := strings.CutPrefix(line, "Environment="); ok {
			env = append(env, strings.Fields(strings.NewReplacer("%d", credentials, "%S", state).Replace(rest))...)
		}
	}
	if loaded != len(given) {
		t.Errorf("%d credentials", loaded)
	}
	env = append(env, "POOLKEEPER_ADDR=127.0.0.1:0")
	run(t, program(t), env, "init")
	s := serve(t, program(t), env, nil)
	if code, body := s.get(t, "GET", "/api/v1/status"); code != 200 || !strings.Contains(body, `"backend":"redis"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, text := s.stop(); code != 0 || strings.Contains(text, apiKey) {
		t.Errorf("exit code %d: %s", code, text)
	}
}
