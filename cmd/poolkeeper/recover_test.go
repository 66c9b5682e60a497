package main

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
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
	said, errOut := expect(t, w.env, poolkeeper.ExitUnavailable, "", "status")
	if !strings.Contains(said, "lost since") || !strings.Contains(said, "poolkeeper recover") ||
		!regexp.MustCompile(`(?m)^ready +false$`).MatchString(said) || !regexp.MustCompile(`(?m)^serving +true$`).MatchString(said) {
		t.Errorf("status: %s", said)
	}
	const wayOut = "hint: put back what this instance has: poolkeeper recover\n"
	if !strings.HasSuffix(errOut, "the store in Redis is empty\n"+wayOut) {
		t.Errorf("status: %s", errOut)
	}
	for _, args := range [][]string{{"verify"}, {"init"}, {"provider", "rename", besideType, besideID, "new"}} {
		if _, errOut := expect(t, w.env, poolkeeper.ExitUnavailable, "", args...); !strings.HasSuffix(errOut, wayOut) {
			t.Errorf("%q: %s", args, errOut)
		}
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
	if _, errOut := expect(t, w.env, poolkeeper.ExitRefused, "", "recover", "--adopt"); !strings.Contains(errOut, "there is nothing to adopt: the mode is online") || !strings.Contains(errOut, "hint: the service goes on with") {
		t.Errorf("with nothing to adopt: %s", errOut)
	}
	s.stop()
}

// TestRecoverTwoAtOnce: the command is run for two services of a store at the same time.
// One puts it back, the other one says so, and what both had queued is there once.
func TestRecoverTwoAtOnce(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	w := newWorld(t, srv.URL(), "two:")
	second := *w
	second.env = maps.Clone(w.env)
	second.env["POOLKEEPER_STATE_DIR"] = filepath.Join(w.dir, "second")
	both := []*world{w, &second}
	for _, w := range both {
		startService(t, w.env)
	}
	count := func() (n int) {
		t.Helper()
		out, _ := expect(t, w.env, 0, "", "provider", "get", besideType, besideID, "--direct")
		var p struct{ UsageCount int }
		if err := json.Unmarshal([]byte(out), &p); err != nil {
			t.Fatal(err)
		}
		return p.UsageCount
	}
	before := count()
	srv.FlushAll()
	for i, w := range both {
		w.until(t, "it is lost", func() bool {
			said, _ := w.status(t)
			return strings.Contains(said, "lost since")
		})
		if said, _ := expect(t, w.env, 0, "", "usage", besideType, besideID, "--number", strconv.Itoa(10*(i+1))); !strings.HasPrefix(said, "queued") {
			t.Errorf("a write: %s", said)
		}
	}
	var said, failed [2]string
	var code [2]int
	var wg sync.WaitGroup
	for i, w := range both {
		wg.Go(func() { code[i], said[i], failed[i] = call(t.Context(), w.env, "", "recover") })
	}
	wg.Wait()
	put, other := "Put back 14 providers in ", "It was put back already"
	if code != [2]int{} || !(strings.HasPrefix(said[0], put) && strings.HasPrefix(said[1], other) || strings.HasPrefix(said[1], put) && strings.HasPrefix(said[0], other)) {
		t.Errorf("exit codes %v: %q, %q", code, said, failed)
	}
	for _, w := range both {
		w.until(t, "it is online", func() bool {
			said, code := w.status(t)
			return code == 0 && strings.Contains(said, "online since")
		})
	}
	if got := count(); got != before+30 {
		t.Errorf("the count is %d, want %d", got, before+30)
	}
}

func (w *world) status(t *testing.T) (said string, code int) {
	t.Helper()
	code, said, _ = call(t.Context(), w.env, "", "status")
	return said, code
}

func (w *world) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain for half a minute: %s", what)
		}
	}
}
