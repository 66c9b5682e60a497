package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestEndToEndSecured goes all the way as an operator would, with the files of
// this directory and nothing else: as the restricted user, over TLS with a
// private authority, a directory is imported, verified, served, counted in over
// HTTP, and exported; and Redis denied nothing.
func TestEndToEndSecured(t *testing.T) {
	const redisPassword = "FAKE-password-of-redis"
	lines := users(t)
	for i := range lines {
		lines[i] = strings.Replace(lines[i], ">PASSWORD", ">"+redisPassword, 1)
	}
	opts := slices.Concat(directives(t, "redis/redis.conf"), directives(t, "redis/tls.conf"),
		[]redistest.Option{redistest.WithTLS(), redistest.WithACL(lines...)})
	srv := redistest.Start(t, opts...)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(redisPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := environ("REDIS_URL="+srv.URL(), "REDIS_USERNAME=poolkeeper", "REDIS_PASSWORD_FILE="+secret, "REDIS_TLS_CA_FILE="+srv.CAFile(),
		"POOLKEEPER_STATE_DIR="+t.TempDir(), "POOLKEEPER_ADDR=127.0.0.1:0")
	bin, dir := program(t), fixture(t)

	if out := run(t, bin, env, "import", "--config-dir", dir); !strings.Contains(out, "Migrated ") {
		t.Errorf("import: %s", out)
	}
	run(t, bin, env, "verify", "--config-dir", dir)
	out := run(t, bin, env, "status")
	for _, want := range []string{srv.URL(), "environment REDIS_TLS_CA_FILE", "environment REDIS_PASSWORD_FILE"} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %s:\n%s", want, out)
		}
	}

	s := serve(t, bin, env, nil)
	const path = "/api/v1/pools/claude-kiro-oauth/ab226ca1-2651-430f-a1f0-85aa0228e36e"
	code, body := s.get(t, "POST", path+"/usage")
	if code != 200 || !strings.Contains(body, `"applied"`) {
		t.Errorf("usage: %d %s", code, body)
	}
	if code, body := s.get(t, "GET", "/readyz"); code != 200 {
		t.Errorf("readyz: %d %s", code, body)
	}
	code, text := s.stop()
	if code != 0 {
		t.Errorf("exit code %d: %s", code, text)
	}

	exported := filepath.Join(t.TempDir(), "configs")
	run(t, bin, env, "export", "--output-dir", exported)
	run(t, bin, env, "verify", "--config-dir", exported)
	// Counters of a store in use go on; all else is as it was imported.
	run(t, bin, env, "verify", "--config-dir", dir, "--content-only")
	for what, said := range map[string]string{"status": out, "serve": text} {
		if strings.Contains(said, redisPassword) || strings.Contains(said, apiKey) {
			t.Errorf("%s has a secret: %s", what, said)
		}
	}
	if v, err := srv.Do("ACL", "LOG"); err != nil || countOf(v, "poolkeeper") != 0 {
		t.Errorf("the user lacks something: %v %v", v, err)
	}
}
