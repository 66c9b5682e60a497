package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// TestLoggedDuration: how long a request took is a number of milliseconds, and its
// name says so, in both formats.
func TestLoggedDuration(t *testing.T) {
	for d, want := range map[time.Duration]float64{0: 0, 999: 0, 1_204_567: 1.204, 2 * time.Minute: 120_000} {
		if got := millis(d); got != want {
			t.Errorf("%v is logged as %v, want %v", d, got, want)
		}
	}
	var log strings.Builder
	debug := &slog.HandlerOptions{Level: slog.LevelDebug}
	for name, h := range map[string]slog.Handler{"json": slog.NewJSONHandler(&log, debug), "text": slog.NewTextHandler(&log, debug)} {
		log.Reset()
		srv := New(poolkeeper.New(memstore.New(nil), nil), &Options{Key: testKey, Logger: slog.New(h)})
		call(srv, http.MethodGet, pathHealthz, "")
		// One that took long.
		x := &exchange{s: srv, inner: httptest.NewRecorder(), r: httptest.NewRequest(http.MethodGet, pathHealthz, nil), start: time.Now().Add(-90 * time.Second)}
		x.finish()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("%s: %d lines: %s", name, len(lines), log.String())
		}
		if name == "text" {
			if !strings.Contains(lines[1], " durationMs=9") || strings.Contains(lines[1], "duration=") {
				t.Errorf("text: %s", lines[1])
			}
			continue
		}
		var line struct {
			DurationMs float64
			Duration   any
		}
		if err := json.Unmarshal([]byte(lines[1]), &line); err != nil || line.DurationMs < 90_000 || line.DurationMs > 1e6 || line.Duration != nil {
			t.Errorf("json: %v: %s", err, lines[1])
		}
	}
}

// TestLog: one line for each request, and nothing in it that a client sent.
func TestLog(t *testing.T) {
	s := start(t)
	const secret = "FAKE-SECRET"
	requests := 0
	for _, path := range []string{"/config", "/documents/" + secret, "/pools/t", "/pools/" + secret + "/" + secret, "/tokens/t/a", "/" + secret, "/pools/t?" + secret + "=true", "/pools//" + secret} {
		for _, method := range []string{"GET", "PUT", "PATCH", "POST", "DELETE"} {
			for _, body := range []string{"", `{"uuid":"a","k":"` + secret + `"}`, `{"` + secret + `":`} {
				s.do(method, path, body, "X-Secret", secret, "Cookie", secret)
				requests++
			}
		}
	}
	s.do("GET", "/config", "", "Authorization", "Bearer "+secret)
	log := s.log.String()
	if strings.Contains(log, secret) || strings.Contains(log, testKey) {
		t.Errorf("the log holds a secret:\n%s", log)
	}
	if n := strings.Count(log, "msg=request "); n != requests+1 {
		t.Errorf("%d lines for %d requests", n, requests+1)
	}
	if !strings.Contains(log, "method=PUT route=/api/v1/config status=200 durationMs=") {
		t.Error(log)
	}
}

// TestQuietLog: at the usual level a request that went well leaves no line.
func TestQuietLog(t *testing.T) {
	var log logBuffer
	srv := New(poolkeeper.New(gated(t), nil), &Options{Key: testKey, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ln := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, ln) }()
	if status := post(t, ln.Addr().String()); status != 200 {
		t.Errorf("status %d", status)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	equal(t, "log", log.String(), "")
}
