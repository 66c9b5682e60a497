package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A recorder keeps what it is told.
type recorder struct {
	mu   sync.Mutex
	seen []string
}

func (r *recorder) Request(route, method string, status int, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if took <= 0 {
		route = "in no time " + route
	}
	r.seen = append(r.seen, fmt.Sprint(method, " ", route, " ", status))
}

func (r *recorder) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		io.WriteString(w, "a_metric 1\n")
	})
}

// TestTelemetry: each request is told once, by its route, whatever comes of it;
// the metrics are for those who have the key.
func TestTelemetry(t *testing.T) {
	rec := &recorder{}
	g := gated(t)
	srv := New(poolkeeper.New(g, nil), &Options{Key: testKey, Telemetry: rec})
	ln := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, ln) }()
	do := func(method, path, key string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+ln.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	for _, key := range []string{"", "wrong-key-0123456789"} {
		if status, body := do("GET", pathMetrics, key); status != 401 || strings.Contains(body, "a_metric") {
			t.Errorf("metrics with key %q: %d %s", key, status, body)
		}
	}
	if status, body := do("GET", pathMetrics, testKey); status != 200 || body != "a_metric 1\n" {
		t.Errorf("metrics: %d %s", status, body)
	}
	if status, body := do("GET", pathOpenAPI, ""); status != 200 || !strings.Contains(body, `"/metrics"`) {
		t.Errorf("the metrics are not described: %d", status)
	}
	do("POST", base+"/pools/t/a/usage", testKey)
	do("GET", base+"/pools/t/FAKE-nobody", testKey)
	do("GET", "/FAKE-path", testKey)
	g.fault = func() error { panic("x") }
	do("GET", base+"/pools/t", testKey)
	if n := srv.Connections(); n < 1 {
		t.Errorf("%d connections", n)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	for srv.Connections() != 0 { // a connection is done with a moment after it is closed
		runtime.Gosched()
	}
	want := []string{
		"GET none 401", "GET none 401", "GET /metrics 200", "GET /openapi.json 200", "POST /api/v1/pools/{type}/{id}/usage 200",
		"GET /api/v1/pools/{type}/{id} 404", "GET none 404", "GET /api/v1/pools/{type} 500",
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if !slices.Equal(rec.seen, want) {
		t.Errorf("told:\n%s\nwant:\n%s", strings.Join(rec.seen, "\n"), strings.Join(want, "\n"))
	}
}

// TestNoTelemetry: where nothing is measured there is no such path.
func TestNoTelemetry(t *testing.T) {
	s := start(t)
	if a := s.send("GET", pathMetrics, ""); a.status != 404 {
		t.Errorf("%d", a.status)
	}
}

// TestConnections: a connection is counted from its beginning to its end.
func TestConnections(t *testing.T) {
	var c clientCount
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, step := range []struct {
		state http.ConnState
		want  int64
	}{{http.StateNew, 1}, {http.StateActive, 1}, {http.StateIdle, 1}, {http.StateNew, 2}, {http.StateClosed, 1}, {http.StateHijacked, 0}} {
		if c.state(a, step.state); c.open.Load() != step.want {
			t.Errorf("%v: %d, want %d", step.state, c.open.Load(), step.want)
		}
	}
}
