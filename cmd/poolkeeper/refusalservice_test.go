package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestServiceWithoutStore takes the store away from a service: a request that can
// wait is queued, any other that needs the store is refused as such; none writes
// into the emptiness, and none tells a secret.
func TestServiceWithoutStore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		take  func(*redistest.Server)
		codes string
		mode  string
	}{
		"away":    {(*redistest.Server).Kill, "unavailable", "degraded"},
		"emptied": {(*redistest.Server).FlushAll, "lost uninitialized unavailable", "lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := redistest.Start(t)
			root := filepath.Join(fixtures(t), "typical")
			env := map[string]string{
				"HOME": t.TempDir(), "REDIS_URL": srv.URL(), "POOLKEEPER_CONFIG_DIR": filepath.Join(root, "configs"),
				"POOLKEEPER_API_KEY": "FAKE-key-of-the-service", "POOLKEEPER_LOG_LEVEL": "debug",
			}
			expect(t, env, 0, "", "import")
			b := &refuser{T: t, service: startService(t, env), output: map[string]string{}}
			if status, _, body := b.send(&refusal{method: "POST", path: kiroPath + "/usage"}); status != http.StatusOK {
				t.Fatalf("%d %s", status, body)
			}
			c.take(srv)
			var wg sync.WaitGroup
			var mu sync.Mutex
			for _, e := range endpoints {
				if e.path == api+"/status" || e.path == "/metrics" || strings.HasPrefix(e.path, api+"/journal") { // which say so, and what waits
					continue
				}
				wg.Go(func() {
					row := e.row("", "")
					row.header["Cache-Control"] = "no-cache" // what is read must be current
					status, _, body := b.send(&row)
					code := problemCode(body)
					switch {
					case e.waits():
						if status/100 != 2 || !strings.HasPrefix(body, `{"status":"queued","changed":true`) || strings.Contains(body, "Count") {
							t.Errorf("%s %s: %d %s", e.method, e.path, status, body)
						}
					case status != http.StatusServiceUnavailable || !strings.Contains(c.codes, code) || code == "":
						t.Errorf("%s %s: %d %s", e.method, e.path, status, body)
					}
					mu.Lock()
					defer mu.Unlock()
					b.output[e.method+" "+e.path] = body
				})
			}
			wg.Wait()
			// What need not be is read from the copy, and is never empty.
			if status, _, body := b.send(&refusal{method: "GET", path: api + "/pools"}); status != http.StatusOK || !strings.Contains(body, `"claude-kiro-oauth":[`) {
				t.Errorf("a read of the copy: %d %s", status, body)
			}
			if status, _, body := b.send(&refusal{method: "GET", path: "/readyz"}); status != http.StatusOK || !strings.Contains(body, `"status":"serving"`) || !strings.Contains(body, c.mode) {
				t.Errorf("readyz: %d %s", status, body)
			}
			if status, _, body := b.send(&refusal{method: "GET", path: "/metrics"}); status != http.StatusOK || !strings.Contains(body, "\npoolkeeper_store_ready 0\n") || !strings.Contains(body, "\npoolkeeper_serving 1\n") {
				t.Errorf("metrics: %d %s", status, body)
			} else {
				b.output["metrics"] = body
			}
			if srv.Running() {
				if left := srv.Dump(); len(left) > 0 {
					t.Errorf("the emptied Redis got %d keys", len(left))
				}
			}
			b.service.stop()
			b.output["log"] = b.service.errOut.String()
			noLeak(t, allSecrets(t, root), b.output)
		})
	}
}

// waits reports whether a request can wait for the store, see poolkeeper.Op.Queueable.
func (e *endpoint) waits() bool {
	what := e.method + " " + strings.TrimPrefix(e.path, api)
	pool, provider, doc := strings.TrimPrefix(kiroPool, api), strings.TrimPrefix(kiroPath, api), strings.TrimPrefix(plugins, api)
	switch what {
	case "PUT /config", "PATCH /config", "PUT " + doc, "PATCH " + doc, "DELETE " + doc, "POST " + pool,
		"PUT " + provider, "PATCH " + provider, "DELETE " + provider:
		return true
	}
	_, rest, ok := strings.Cut(what, provider)
	return ok && e.method == "POST" && rest != "/rename"
}

// problemCode is the code of a problem.
func problemCode(body string) string {
	_, rest, _ := strings.Cut(body, `"code":"`)
	code, _, _ := strings.Cut(rest, `"`)
	return code
}
