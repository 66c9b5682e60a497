package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestServeLog: everything that a service says on stderr is one line for each
// event, in the form and from the level that it was told, without what clients
// sent and without a secret.
func TestServeLog(t *testing.T) {
	root := filepath.Join(fixtures(t), "typical")
	for _, c := range []struct {
		format, level string
		has, lacks    []string
	}{
		{"json", "debug", []string{`"msg":"serving"`, `"msg":"request"`, `"status":404`, `"status":503`, `"msg":"stopped"`}, nil},
		{"json", "info", []string{`"msg":"serving"`, `"status":503`, `"msg":"stopped"`}, []string{`"status":404`, "DEBUG"}},
		{"json", "error", nil, []string{"INFO", "WARN"}},
		{"text", "debug", []string{"msg=serving", "msg=request", "status=404", "msg=stopped"}, nil},
		{"", "info", []string{`"msg":"serving"`}, nil}, // stderr is no terminal
	} {
		t.Run(c.format+" "+c.level, func(t *testing.T) {
			srv := redistest.Start(t)
			env := map[string]string{
				"HOME": t.TempDir(), "REDIS_URL": srv.URL(), "POOLKEEPER_CONFIG_DIR": filepath.Join(root, "configs"), "REDIS_COMMAND_TIMEOUT": "200",
				"POOLKEEPER_API_KEY": "FAKE-key-of-the-service", "POOLKEEPER_LOG_FORMAT": c.format, "POOLKEEPER_LOG_LEVEL": c.level,
			}
			expect(t, env, 0, "", "import")
			s := startService(t, env)
			b := &refuser{T: t, service: s}
			b.send(&refusal{method: "POST", path: kiroPath + "/usage"})
			b.send(&refusal{method: "GET", path: kiroPool + "/" + planted})
			b.send(&refusal{method: "PUT", path: api + "/documents/" + planted + "%0A" + planted, body: `{"a":"` + planted + `"}`})
			b.send(&refusal{method: "GET", path: "/" + planted, key: "Bearer " + planted})
			srv.Kill()
			current := &refusal{method: "GET", path: api + "/config", header: map[string]string{"Cache-Control": "no-cache"}}
			if status, _, body := b.send(current); status != http.StatusServiceUnavailable {
				t.Errorf("%d %s", status, body)
			}
			s.stop()
			log := s.errOut.String()
			for line := range strings.Lines(log) {
				if c.format == "text" {
					if !strings.HasPrefix(line, "time=") || !strings.Contains(line, " level=") || !strings.Contains(line, " msg=") {
						t.Errorf("not a line of the log: %s", line)
					}
					continue
				}
				var said struct {
					Time  time.Time
					Level string
					Msg   string
				}
				if err := json.Unmarshal([]byte(line), &said); err != nil || said.Time.IsZero() || said.Level == "" || said.Msg == "" {
					t.Errorf("not a line of the log: %v: %s", err, line)
				}
			}
			for _, text := range c.has {
				if !strings.Contains(log, text) {
					t.Errorf("the log lacks %s:\n%s", text, log)
				}
			}
			for _, text := range c.lacks {
				if strings.Contains(log, text) {
					t.Errorf("the log has %s:\n%s", text, log)
				}
			}
			for _, secret := range append(slices.Clone(secretsOf(t, root)), planted, "FAKE", kiroID) {
				if strings.Contains(log, secret) {
					t.Errorf("the log has %q:\n%s", secret, log)
				}
			}
		})
	}
}
