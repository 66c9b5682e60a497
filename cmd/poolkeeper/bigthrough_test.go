package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestBigImportThroughInstance brings 10,000 providers and 200 tokens into the store
// of a running service, and out again. Neither process grows beyond a bound
// that is far above what they take, and far below what a copy for each request
// would come to.
func TestBigImportThroughInstance(t *testing.T) {
	t.Parallel()
	const most = 1 << 20 // KiB, with the race detector
	n := 10_000
	if testing.Short() {
		n = 500
	}
	srv := redistest.Start(t)
	w := &world{dir: t.TempDir()}
	dir, out := filepath.Join(w.dir, "in", "configs"), filepath.Join(w.dir, "out", "configs")
	files := map[string][]byte{"config.json": []byte("{}")}
	pools := []byte(`{"claude-kiro-oauth": [`)
	for i := range n {
		if i > 0 {
			pools = append(pools, ',')
		}
		pools = fmt.Appendf(pools, `{"uuid": "%08d-0000-4000-8000-000000000000", "customName": "Account %d", "note": %q`, i, i, strings.Repeat("n", 400))
		if i < 200 {
			pools = fmt.Appendf(pools, `, "KIRO_OAUTH_CREDS_FILE_PATH": "configs/kiro/%d.json"`, i)
			files[fmt.Sprintf("kiro/%d.json", i)] = fmt.Appendf(nil, `{"accessToken": "FAKE-%d"}`, i)
		}
		pools = append(pools, '}')
	}
	files["provider_pools.json"] = append(pools, "]}"...)
	writeFiles(t, dir, files)
	w.env = map[string]string{
		"POOLKEEPER_STATE_DIR": filepath.Join(w.dir, "state"), "POOLKEEPER_CONFIG_DIR": dir,
		"REDIS_URL": srv.URL(), "REDIS_KEY_PREFIX": "big:", "REDIS_COMMAND_TIMEOUT": "20000",
		peakFile: filepath.Join(w.dir, "peak"),
	}
	expect(t, w.env, 0, "", "init")
	service := w.spawn(t)
	for _, c := range []struct{ want, line string }{
		{fmt.Sprintf("Migrated %d providers", n), "import"},
		{"\n0 changes\n", "import"},
		{"Exported ", "export --output-dir " + out},
		{"Equal: ", "verify --content-only --config-dir " + out},
	} {
		cmd := exec.CommandContext(t.Context(), "poolkeeper", strings.Fields(c.line)...)
		for name, value := range w.env {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		stdout, err := cmd.Output()
		if err != nil || !strings.Contains(string(stdout), c.want) {
			t.Fatalf("%s: %v\n%s", c.line, err, stdout)
		}
		t.Logf("%s: %v of user time", strings.Fields(c.line)[0], cmd.ProcessState.UserTime())
		checkPeak(t, w.env[peakFile], c.line, most)
	}
	_ = service.Process.Signal(os.Interrupt)
	if err := service.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("serve: %v of user time", service.ProcessState.UserTime())
	checkPeak(t, w.env[peakFile], "serve", most)
}

// peakFile names the variable that says where a command leaves how much memory it
// had at most. What a parent is told of a child counts the parent too, of which
// it was a copy.
const peakFile = "POOLKEEPER_TEST_PEAK"

// notePeak is called in the command, at its end. Where there is no /proc it notes
// nothing.
func notePeak() {
	status, err := os.ReadFile("/proc/self/status")
	if to := os.Getenv(peakFile); to != "" && err == nil {
		if err := os.WriteFile(to, status, 0o600); err != nil {
			panic(err)
		}
	}
}

// checkPeak holds the command that has ended last to a bound, in KiB.
func checkPeak(t *testing.T, from, what string, most int) {
	t.Helper()
	status, err := os.ReadFile(from)
	if err != nil {
		if runtime.GOOS == "linux" {
			t.Error(err)
		}
		return
	}
	_, text, _ := strings.Cut(string(status), "VmHWM:")
	text, _, _ = strings.Cut(text, "kB")
	peak, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || peak > most {
		t.Errorf("%s: %d KiB at most (%v)", what, peak, err)
	}
	t.Logf("%s: %d KiB at most", what, peak)
}
