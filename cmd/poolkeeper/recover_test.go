package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestRecoverCommand: what an operator does when Redis has lost everything, with a
// service that has it and with none.
func TestRecoverCommand(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	w := newWorld(t, srv.URL(), "recover:")
	out := filepath.Join(w.dir, "before", "configs")
	expect(t, w.env, 0, "", "export", "--output-dir", out)
	if _, errOut := expect(t, w.env, poolkeeper.ExitUnavailable, "", "recover"); !strings.Contains(errOut, "no service runs") || !strings.Contains(errOut, "import --config-dir") {
		t.Errorf("without a service: %s", errOut)
	}
	expect(t, w.env, poolkeeper.ExitUnavailable, "", "status", "--serving", "--redis-url", "unix:///nobody.sock")
	s := startService(t, w.env)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) { // the files are in the first snapshot
		found, err := filepath.Glob(filepath.Join(w.dir, "state", "snapshot", "*", "manifest.json"))
		if len(found) > 0 {
			break
		}
		if err != nil || time.Now().After(end) {
			t.Fatal("there is no snapshot")
		}
	}
	if _, errOut := expect(t, w.env, poolkeeper.ExitRefused, "", "recover"); !strings.Contains(errOut, "nothing is lost") || !strings.Contains(errOut, "hint: there is nothing to put back") {
		t.Errorf("with nothing lost: %s", errOut)
	}
	srv.FlushAll()
	if said, _ := w.use(t, 0); !strings.HasPrefix(said, "queued") {
		t.Errorf("the first write: %s", said)
	}
	if said, _ := expect(t, w.env, poolkeeper.ExitUnavailable, "", "status"); !strings.Contains(said, "lost since") || !strings.Contains(said, "poolkeeper recover") ||
		!regexp.MustCompile(`(?m)^ready +false$`).MatchString(said) || !regexp.MustCompile(`(?m)^serving +true$`).MatchString(said) {
		t.Errorf("status: %s", said)
	}
	expect(t, w.env, 0, "", "status", "--serving")
	if said, _ := expect(t, w.env, 0, "", "recover"); !strings.HasPrefix(said, "Put back 14 providers in ") {
		t.Errorf("recover: %s", said)
	}
	expect(t, w.env, 0, "", "verify", "--content-only", "--config-dir", out)

	// Another content is gone on with only where somebody says so.
	srv.FlushAll()
	expect(t, w.env, 0, "", "--direct", "import", "--config-dir", out)
	if _, errOut := expect(t, w.env, poolkeeper.ExitRefused, "", "recover"); !strings.Contains(errOut, "--adopt") {
		t.Errorf("with another content: %s", errOut)
	}
	expect(t, w.env, 0, "", "recover", "--adopt")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) { // what was queued is brought to it
		said, _ := expect(t, w.env, 0, "", "status")
		if strings.Contains(said, "online since") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("status after that: %s", said)
		}
	}
	expect(t, w.env, 0, "", "verify", "--content-only", "--config-dir", out)
	s.stop()
}
