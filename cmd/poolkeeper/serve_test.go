package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// locked is a writer for several goroutines.
type locked struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A service is a running serve command.
type service struct {
	url    string
	key    string
	said   string // what it printed at start
	errOut *locked
	stop   func() int
}

func startService(t *testing.T, env map[string]string, args ...string) *service {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	s := &service{errOut: &locked{}}
	code := make(chan int, 1)
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	go func() {
		code <- run(ctx, append([]string{"serve", "--addr", "127.0.0.1:0", "--json"}, args...), environ, strings.NewReader(""), w, s.errOut)
		w.Close()
	}()
	s.stop = func() int {
		cancel()
		c := <-code
		code <- c
		return c
	}
	t.Cleanup(func() { s.stop() })
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		s.said += lines.Text() + "\n"
		if lines.Text() == "}" {
			break
		}
	}
	go io.Copy(io.Discard, r)
	var said struct{ URL, KeyFile, KeySource string }
	if err := json.Unmarshal([]byte(s.said), &said); err != nil {
		t.Fatalf("it said %q and %q", s.said, s.errOut)
	}
	s.url, s.key = said.URL, env["POOLKEEPER_API_KEY"]
	if said.KeyFile != "" {
		key, err := os.ReadFile(said.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		s.key = strings.TrimSpace(string(key))
	}
	return s
}

func (s *service) get(t *testing.T, method, path, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// TestServeFromFiles serves a directory: what was acknowledged is in its files
// after the end, and a second service is refused meanwhile.
func TestServeFromFiles(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS(filepath.Join(fixtures(t), "typical"))); err != nil {
		t.Fatal(err)
	}
	configs := filepath.Join(root, "configs")
	env := map[string]string{"POOLKEEPER_STATE_DIR": filepath.Join(t.TempDir(), "state"), "POOLKEEPER_CONFIG_DIR": configs}
	s := startService(t, env)
	const account = "ab226ca1-2651-430f-a1f0-85aa0228e36e"
	if code, body := s.get(t, "POST", "/api/v1/pools/claude-kiro-oauth/"+account+"/usage", s.key); code != http.StatusOK || !strings.Contains(body, "1844") {
		t.Errorf("usage: %d %s", code, body)
	}
	if code, out, errOut := call(t.Context(), env, "", "usage", "claude-kiro-oauth", account); code != poolkeeper.ExitOK || !strings.Contains(out, "1845") {
		t.Errorf("a command beside it: %d %s", code, errOut)
	}
	if code, _, errOut := call(t.Context(), env, "", "usage", "claude-kiro-oauth", account, "--direct"); code != poolkeeper.ExitUnavailable || !strings.Contains(errOut, "in use by process") {
		t.Errorf("a second process: %d %s", code, errOut)
	}
	if code, out, errOut := call(t.Context(), env, "", "provider", "list", "--direct"); code != poolkeeper.ExitOK || !strings.Contains(out, account) || !strings.Contains(errOut, "files of") {
		t.Errorf("a second process that reads: %d %s %s", code, out, errOut)
	}
	if code := s.stop(); code != poolkeeper.ExitOK {
		t.Errorf("exit code %d: %s", code, s.errOut)
	}
	if data, err := os.ReadFile(filepath.Join(configs, "provider_pools.json")); err != nil || !strings.Contains(string(data), `"usageCount": 1845`) {
		t.Errorf("the files do not have it: %v", err)
	}
	if code, out, errOut := call(t.Context(), env, "", "usage", "claude-kiro-oauth", account, "-n", "2"); code != poolkeeper.ExitOK || !strings.Contains(out, "1847") {
		t.Errorf("without the service: %d %s %s", code, out, errOut)
	}
	if code, out, errOut := call(t.Context(), env, "", "verify"); code != poolkeeper.ExitOK {
		t.Errorf("verify: %d %s %s", code, out, errOut)
	}
}

// TestServeAllowedHosts: a service answers under the names that each source gives
// it, and under no other; status says where they come from.
func TestServeAllowedHosts(t *testing.T) {
	root := t.TempDir()
	configs := filepath.Join(root, "configs")
	if err := os.MkdirAll(configs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(configs, "config.json"), []byte(`{"poolkeeper":{"allowedHosts":["file.example","more.example"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--allowed-host", "flag.example", "--allowed-host", "[2001:db8::1]"}
	for _, c := range []struct {
		env     string
		args    []string
		value   string
		source  string
		allowed []string
	}{
		{"", nil, "file.example,more.example", "config.json poolkeeper.allowedHosts", []string{"file.example", "more.example:443"}},
		{"env.example", nil, "env.example", "environment POOLKEEPER_ALLOWED_HOSTS", []string{"env.example"}},
		{"env.example", flags, "", "", []string{"flag.example", "[2001:db8::1]:8787"}},
	} {
		env := map[string]string{"POOLKEEPER_STATE_DIR": t.TempDir(), "POOLKEEPER_CONFIG_DIR": configs, "POOLKEEPER_ALLOWED_HOSTS": c.env}
		s := startService(t, env, append(c.args, "--backend", "memory")...)
		for _, host := range []string{"file.example", "more.example:443", "env.example", "flag.example", "[2001:db8::1]:8787", "evil.example"} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/healthz", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if want := slices.Contains(c.allowed, host); want != (res.StatusCode == 200) || !want && res.StatusCode != 403 {
				t.Errorf("%s, %s: %d", c.source, host, res.StatusCode)
			}
		}
		s.stop()
		if c.source == "" { // status has no such flag
			continue
		}
		code, out, errOut := call(t.Context(), env, "", "status", "--json", "--backend", "memory")
		var said struct {
			Settings []struct{ Name, Value, Source string }
		}
		if err := json.Unmarshal([]byte(out), &said); code != 0 || err != nil {
			t.Fatalf("%d %v %s", code, err, errOut)
		}
		if !slices.Contains(said.Settings, struct{ Name, Value, Source string }{"allowedHosts", c.value, c.source}) {
			t.Errorf("status: %+v", said.Settings)
		}
	}
}

func TestServeFromMemory(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	env := map[string]string{"POOLKEEPER_STATE_DIR": state}
	configs := filepath.Join(fixtures(t), "typical", "configs")
	s := startService(t, env, "--config-dir", configs, "--backend", "memory")
	if code, _ := s.get(t, "GET", "/api/v1/status", ""); code != http.StatusUnauthorized {
		t.Errorf("without a key: %d", code)
	}
	if code, body := s.get(t, "GET", "/api/v1/status", s.key); code != http.StatusOK || !strings.Contains(body, "memory") {
		t.Errorf("status: %d %s", code, body)
	}
	const use = "/api/v1/pools/claude-kiro-oauth/ab226ca1-2651-430f-a1f0-85aa0228e36e/usage"
	if code, body := s.get(t, "POST", use, s.key); code != http.StatusOK || !strings.Contains(body, "1844") {
		t.Errorf("usage: %d %s", code, body)
	}
	if code := s.stop(); code != poolkeeper.ExitOK {
		t.Errorf("exit code %d: %s", code, s.errOut)
	}
	if !strings.Contains(s.errOut.String(), "NOT written back") {
		t.Errorf("it does not say that nothing is kept: %s", s.errOut)
	}
	if strings.Contains(s.said+s.errOut.String(), s.key) {
		t.Error("the key was printed")
	}
	for path, mode := range map[string]os.FileMode{state: 0o700, filepath.Join(state, "api-key"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, info, err)
		}
	}
	entries, err := os.ReadDir(state)
	if err != nil || len(entries) != 1 {
		t.Errorf("the state directory holds %v %v", entries, err)
	}

	// The key stays from start to start; a configured one comes before it.
	again := startService(t, env, "--config-dir", configs, "--backend", "memory")
	if again.key != s.key || len(s.key) < 32 {
		t.Errorf("the key did not stay")
	}
	env["POOLKEEPER_API_KEY"] = "a-configured-key-of-its-own"
	own := startService(t, env, "--config-dir", configs, "--backend", "memory")
	if code, _ := own.get(t, "GET", "/api/v1/status", own.key); code != http.StatusOK {
		t.Errorf("with the configured key: %d", code)
	}
	if code, _ := own.get(t, "GET", "/api/v1/status", s.key); code != http.StatusUnauthorized {
		t.Errorf("with the other key: %d", code)
	}
	if strings.Contains(own.said+own.errOut.String(), own.key) {
		t.Error("the key was printed")
	}
}

func TestServeOnRedis(t *testing.T) {
	srv := redistest.Start(t)
	env := map[string]string{"POOLKEEPER_STATE_DIR": t.TempDir(), "REDIS_URL": srv.URL()}
	if code, _, errOut := call(t.Context(), env, `{"uuid":"one"}`, "init"); code != 0 {
		t.Fatal(errOut)
	}
	if code, _, errOut := call(t.Context(), env, `{"uuid":"one"}`, "provider", "add", "x"); code != 0 {
		t.Fatal(errOut)
	}
	s := startService(t, env)
	if code, body := s.get(t, "POST", "/api/v1/pools/x/one/usage", s.key); code != http.StatusOK {
		t.Errorf("usage: %d %s", code, body)
	}
	if code := s.stop(); code != poolkeeper.ExitOK {
		t.Errorf("exit code %d: %s", code, s.errOut)
	}
	if code, out, _ := call(t.Context(), env, "", "usage", "x", "one"); code != 0 || !strings.Contains(out, "usageCount 2") {
		t.Errorf("%d %s", code, out)
	}
}
