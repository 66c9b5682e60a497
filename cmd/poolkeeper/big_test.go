package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/bench"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestBigDirectory takes a big directory in and out by processes of their own. It
// tells what they took, and which scripts took Redis more than 5 ms: on a machine
// that does other things at the time neither says much.
func TestBigDirectory(t *testing.T) {
	n := 4000
	if testing.Short() {
		n = 500
	}
	srv := redistest.Start(t)
	srv.ConfigSet("slowlog-log-slower-than", "5000")
	root := t.TempDir()
	dir, out := filepath.Join(root, "in", "configs"), filepath.Join(root, "out", "configs")
	if _, err := bench.MakeDir(dir, n); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ want, line string }{
		{"Migrated ", "import --config-dir " + dir},
		{"0 changes", "import --mirror --force --config-dir " + dir},
		{"Equal: ", "verify --config-dir " + dir},
		{"Exported ", "export --output-dir " + out},
		{"Equal: ", "verify --config-dir " + out},
	} {
		cmd := exec.Command("poolkeeper", strings.Fields(c.line)...)
		cmd.Env = append(os.Environ(), "REDIS_URL="+srv.URL(), "HOME="+root, peakFile+"="+filepath.Join(root, "peak"))
		stdout, err := cmd.Output()
		if err != nil || !strings.Contains(string(stdout), c.want) {
			t.Fatalf("%s: %v\n%s", c.line, err, stdout)
		}
		t.Logf("%s: %v of user time", strings.Fields(c.line)[0], cmd.ProcessState.UserTime())
		checkPeak(t, filepath.Join(root, "peak"), c.line, 1<<20)
	}
	for _, e := range srv.SlowLog() {
		if name := strings.ToUpper(e.Args[0]); strings.HasPrefix(name, "EVAL") {
			t.Logf("a script took %v", e.Took)
		}
	}
}
