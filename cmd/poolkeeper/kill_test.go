package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestImportKilled kills the process of an import with SIGKILL at one command
// after the other, and runs it again.
func TestImportKilled(t *testing.T) {
	srv := redistest.Start(t)
	for _, c := range []struct {
		name   string
		before string // the directory that the store has, or ""
	}{{"empty store", ""}, {"store in use", "typical-jan2026"}} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(fixtures(t), "typical", "configs")
			env := map[string]string{"REDIS_URL": srv.URL(), "HOME": t.TempDir()}
			args := []string{"import", "--config-dir", dir, "--mirror", "--force"}
			ok := func(what string, args ...string) string {
				t.Helper()
				code, stdout, stderr := call(t.Context(), env, "", args...)
				if code != 0 {
					t.Fatalf("%s: exit code %d\n%s%s", what, code, stdout, stderr)
				}
				return stdout
			}
			killed, marked := 0, 0
			for n := 0; ; n += 9 {
				srv.FlushAll()
				if c.before != "" {
					ok("before", "import", "--config-dir", filepath.Join(fixtures(t), c.before, "configs"))
				}
				if !kill(t, srv, args, n) {
					break
				}
				killed++
				_, status, _ := call(t.Context(), env, "", "status")
				if strings.Contains(status, "an import is unfinished: run it again") {
					marked++
				}
				if c.before == "" && !strings.Contains(status, "ready") {
					t.Errorf("status: %s", status)
				}
				// The lock of a run that died is forgotten after a while.
				srv.DoInt("DEL", "aiclient:lock:{aiclient:meta}")
				ok("again", args...)
				ok("verify", "verify", "--config-dir", dir)
				if again := ok("and again", args...); !strings.Contains(again, "\n0 changes\n") {
					t.Errorf("after %d commands: %s", n, again)
				}
				if status := ok("status", "status"); strings.Contains(status, "importing") {
					t.Errorf("after %d commands, still marked:\n%s", n, status)
				}
			}
			t.Logf("killed %d times, seen marked %d times", killed, marked)
			if killed < 5 || marked < 2 {
				t.Error("that is not enough")
			}
		})
	}
}

// kill runs the program and kills it once it has sent n commands to Redis. It
// reports false where the program ended before.
func kill(t *testing.T, srv *redistest.Server, args []string, n int) bool {
	t.Helper()
	proxy := redistest.StartProxy(t, srv.Addr())
	defer proxy.Close()
	proxy.StopAfter(n, n%2 == 1)
	cmd := exec.Command("poolkeeper", args...)
	cmd.Env = append(os.Environ(), "REDIS_URL="+proxy.URL(), "HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err == nil {
				return false
			}
			if counts := proxy.Counts(); counts[redistest.FaultCutBefore]+counts[redistest.FaultCutAfter] == 0 {
				t.Fatalf("it failed by itself: %v", err)
			}
			return true // it gave up faster than it was killed
		case <-time.After(2 * time.Millisecond):
		}
		if proxy.Counts()[redistest.FaultCutBefore] > 0 {
			_ = cmd.Process.Kill()
			<-ended
			return true
		}
	}
}
