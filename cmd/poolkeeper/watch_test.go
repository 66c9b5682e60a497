package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A watching is a running watch command.
type watching struct {
	t      *testing.T
	lines  *bufio.Scanner
	errOut *locked
	stop   func() int
}

func startWatch(t *testing.T, env map[string]string, args ...string) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	s := &watching{t: t, errOut: &locked{}, lines: bufio.NewScanner(r)}
	code := make(chan int, 1)
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	go func() {
		code <- run(ctx, append([]string{"watch"}, args...), environ, strings.NewReader(""), w, s.errOut)
		w.Close()
	}()
	s.stop = func() int {
		cancel()
		r.Close()
		c := <-code
		code <- c
		return c
	}
	t.Cleanup(func() { s.stop() })
	return s
}

// next returns the next line, without its time in the plain form.
func (s *watching) next() string {
	s.t.Helper()
	if !s.lines.Scan() {
		s.t.Fatalf("watch has ended: %s", s.errOut)
	}
	if _, rest, ok := strings.Cut(s.lines.Text(), "Z  "); ok {
		return rest
	}
	return s.lines.Text()
}

func (s *watching) wants(want string) {
	s.t.Helper()
	if got := s.next(); got != want {
		s.t.Fatalf("watch prints %q, want %q", got, want)
	}
}

func watchEnv(t *testing.T) (*redistest.Server, map[string]string) {
	t.Helper()
	srv := redistest.Start(t)
	env := map[string]string{"HOME": t.TempDir(), "REDIS_URL": srv.URL(), "REDIS_KEY_PREFIX": "w:", "POOLKEEPER_CONFIG_DIR": t.TempDir()}
	expect(t, env, 0, "", "init")
	return srv, env
}

func TestWatch(t *testing.T) {
	srv, env := watchEnv(t)
	w := startWatch(t, env)
	w.wants("ready")
	expect(t, env, 0, `{"uuid":"a","apiKey":"sk-FAKE-0123456789abcdef"}`, "provider", "add", "t", "--file", "-")
	w.wants("types   the types or their order")
	w.wants("put     t a")
	expect(t, env, 0, "", "usage", "t", "a", "-n", "3")
	if got := w.next(); !strings.HasPrefix(got, "state   t a  usageCount 3  lastUsed 20") {
		t.Errorf("watch prints %q", got)
	}
	expect(t, env, 0, "", "error", "t", "a", "--message", "upstream said sk-FAKE-0123456789abcdef")
	if got := w.next(); !strings.HasPrefix(got, "state   t a  errorCount 1  ") || strings.Contains(got, "FAKE") || !strings.Contains(got, "upstream said") {
		t.Errorf("watch prints %q", got)
	}
	expect(t, env, 0, `{"refreshToken":"FAKE-refresh"}`, "token", "set", "t", "a", "--file", "-")
	w.wants("value   token t a")
	expect(t, env, 0, "", "provider", "rename", "t", "a", "b c")
	w.wants(`value   token t "b c"`)
	w.wants(`rename  t a is "b c"`)
	expect(t, env, 0, "", "provider", "rm", "t", "b c")
	for { // until its token is gone too
		if got := w.next(); got == `delete  t "b c"` {
			break
		} else if !strings.HasPrefix(got, "value   token t ") {
			t.Fatalf("watch prints %q", got)
		}
	}
	srv.DoInt("CLIENT", "KILL", "TYPE", "pubsub")
	for w.lines.Scan() && !strings.Contains(w.lines.Text(), "  resync  something may have been missed") {
	}
	if !strings.Contains(w.errOut.String(), "watching again") {
		t.Errorf("nothing is said of a lost connection: %s", w.errOut)
	}
	if code := w.stop(); code != poolkeeper.ExitOK {
		t.Errorf("exit code %d where it was told to stop", code)
	}
}

// A line of JSON is a whole object, with secrets masked; a type is a filter.
func TestWatchJSON(t *testing.T) {
	_, env := watchEnv(t)
	w := startWatch(t, env, "t", "--json")
	line := func(want string) (v map[string]any) {
		t.Helper()
		text := w.next()
		if err := json.Unmarshal([]byte(text), &v); err != nil || v["at"] == "" {
			t.Fatalf("%q: %v", text, err)
		}
		delete(v, "at")
		for _, rev := range []string{"before", "after"} {
			if s, ok := v[rev].(string); ok {
				v[rev], _, _ = strings.Cut(s, "-")
			}
		}
		got, _ := json.Marshal(v)
		var expected any
		if err := json.Unmarshal([]byte(want), &expected); err != nil {
			t.Fatal(err)
		}
		if e, _ := json.Marshal(expected); string(e) != string(got) {
			t.Errorf("watch prints\n%s, want\n%s", got, e)
		}
		return v
	}
	line(`{"event":"ready"}`)
	expect(t, env, 0, `{"uuid":"x"}`, "provider", "add", "other", "--file", "-")
	expect(t, env, 0, `{"uuid":"a","usageCount":1.0,"apiKey":"sk-FAKE-0123456789abcdef"}`, "provider", "add", "t", "--file", "-")
	line(`{"event":"change","kind":"put","key":{"kind":"pool","type":"t"},"before":"0","after":"1","id":"a",
		"definition":{"uuid":"a","usageCount":1.0,"apiKey":"****"},"states":[{"id":"a","fields":{},"whole":true}]}`)
	expect(t, env, 0, `{"refreshToken":"FAKE-refresh"}`, "token", "set", "t", "a", "--file", "-")
	line(`{"event":"change","kind":"value","key":{"kind":"token","type":"t","name":"a"},"before":"0","after":"1"}`)
	expect(t, env, 0, "", "error", "t", "a", "--unhealthy", "--recover-at", "2030-01-01T00:00:00Z")
	var last struct {
		States []eventState
	}
	if err := json.Unmarshal([]byte(w.next()), &last); err != nil || len(last.States) != 1 || string(last.States[0].Fields["isHealthy"]) != "false" {
		t.Errorf("watch prints %+v, %v", last, err)
	}
}

// A directory is watched by the service that has it, on its socket.
func TestWatchService(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS(filepath.Join(fixtures(t), "typical"))); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HOME": t.TempDir(), "POOLKEEPER_CONFIG_DIR": filepath.Join(root, "configs"), "POOLKEEPER_STATE_DIR": filepath.Join(t.TempDir(), "state")}
	if _, stderr := expect(t, env, poolkeeper.ExitUnavailable, "", "watch"); !strings.Contains(stderr, "poolkeeper serve") {
		t.Errorf("without a service: %s", stderr)
	}
	s := startService(t, env)
	w := startWatch(t, env)
	w.wants("ready")
	const account = "ab226ca1-2651-430f-a1f0-85aa0228e36e"
	if code, body := s.get(t, "POST", "/api/v1/pools/claude-kiro-oauth/"+account+"/usage", s.key); code != 200 {
		t.Fatalf("usage: %d %s", code, body)
	}
	if got := w.next(); !strings.HasPrefix(got, "state   claude-kiro-oauth "+account+"  usageCount 1844") {
		t.Errorf("watch prints %q", got)
	}
	s.stop()
	startService(t, env)
	w.wants("resync  something may have been missed: read again what is kept")
}

// TestWatchGoesOver begins a watch through a service on Redis, which stops; the watch
// goes on with Redis, and through the next service once Redis has closed the connection.
func TestWatchGoesOver(t *testing.T) {
	srv, env := watchEnv(t)
	env["POOLKEEPER_STATE_DIR"] = filepath.Join(t.TempDir(), "state")
	s := startService(t, env)
	w := startWatch(t, env)
	w.wants("ready")
	const resync = "resync  something may have been missed: read again what is kept"
	s.stop()
	w.wants(resync)
	if said := w.errOut.String(); !strings.HasSuffix(said, "watching the store itself\n") {
		t.Errorf("it says %q", said)
	}
	expect(t, env, 0, `{"uuid":"a"}`, "provider", "add", "t", "--file", "-")
	w.wants("types   the types or their order")
	w.wants("put     t a")
	startService(t, env)
	srv.DoInt("CLIENT", "KILL", "TYPE", "pubsub")
	w.wants(resync)
	if said := w.errOut.String(); !strings.Contains(said, fmt.Sprintf("watching through the service, process %d\n", os.Getpid())) {
		t.Errorf("it says %q", said)
	}
	expect(t, env, 0, "", "usage", "t", "a")
	for !strings.HasPrefix(w.next(), "state   t a  usageCount 1  ") { // the service may tell of its own loss before
	}
}

func TestWatchRefuses(t *testing.T) {
	srv := redistest.Start(t)
	env := map[string]string{"HOME": t.TempDir(), "REDIS_URL": srv.URL(), "REDIS_KEY_PREFIX": "w:", "POOLKEEPER_CONFIG_DIR": t.TempDir()}
	expect(t, env, poolkeeper.ExitUnavailable, "", "watch")
	expect(t, env, poolkeeper.ExitRefused, "", "watch", "--backend", "memory")
	expect(t, env, poolkeeper.ExitUsage, "", "watch", "a", "b")
}
