package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// TestPanic: a panic is answered, logged with its stack, and leaves the
// connection usable.
func TestPanic(t *testing.T) {
	g := gated(t)
	s := startOver(t, poolkeeper.New(g, nil))
	c, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	get := func() answer {
		t.Helper()
		if _, err := io.WriteString(c, "GET "+base+"/pools/t HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+testKey+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		return answer{res.StatusCode, res.Header, string(b)}
	}
	g.fault = func() error { panic("FAKE-secret in a panic") }
	a := get()
	if a.status != 500 {
		t.Errorf("%d: %s", a.status, a.body)
	}
	checkProblem(t, "panic", a)
	g.fault = nil
	if a := get(); a.status != 200 {
		t.Errorf("after the panic: %d", a.status)
	}
	log := s.log.String()
	if !strings.Contains(log, "serve_test.go") || strings.Contains(log+a.body, "FAKE-secret") {
		t.Errorf("log: %s", log)
	}
}

// TestErrorClasses: each error of the store reaches the client as its own
// status and code, and a fault of our own says nothing.
func TestErrorClasses(t *testing.T) {
	g := gated(t)
	s := startOver(t, poolkeeper.New(g, nil))
	s.srv = nil // no store answers a read in all these ways, so they are not documented
	for _, class := range poolkeeper.ErrorClasses() {
		g.fault = func() error {
			return &poolkeeper.Error{Err: class.Err, Detail: "the detail", Hint: "the way out"}
		}
		a := s.do("GET", "/pools/t", "")
		var p problem
		if err := json.Unmarshal([]byte(a.body), &p); err != nil {
			t.Fatal(err)
		}
		if a.status != class.Status || p.Code != class.Code {
			t.Errorf("%s: %d %s", class.Code, a.status, a.body)
		}
		if internal := class.Code == "internal"; internal == strings.Contains(p.Detail, "the detail") || internal == (p.Hint == "the way out") {
			t.Errorf("%s: %s", class.Code, a.body)
		}
	}
	g.fault = func() error { return errors.New("FAKE-inside") }
	a := s.want(500, "GET", "/pools/t", "")
	if strings.Contains(a.body, "FAKE-inside") || !strings.Contains(s.log.String(), "FAKE-inside") {
		t.Errorf("%s\n%s", a.body, s.log)
	}
}

func TestReadiness(t *testing.T) {
	st := poolkeeper.New(memstore.New(nil), nil)
	s := startOver(t, st)
	if a := s.send("GET", pathHealthz, ""); a.status != 200 {
		t.Errorf("healthz: %d", a.status)
	}
	if a := s.send("GET", pathReadyz, ""); a.status != 503 || !strings.Contains(a.body, "not initialised") {
		t.Errorf("readyz: %d %s", a.status, a.body)
	}
	s.want(200, "GET", "/status", "")
	equal(t, "code", s.want(503, "GET", "/pools", "").field(t, "code"), `"uninitialized"`)
	equal(t, "code", s.want(503, "POST", "/pools/t/a/usage", "").field(t, "code"), `"uninitialized"`)
	if err := st.Restore(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if a := s.send("GET", pathReadyz, ""); a.status != 200 {
		t.Errorf("readyz: %d %s", a.status, a.body)
	}
	st.Close()
	if a := s.send("GET", pathHealthz, ""); a.status != 200 {
		t.Errorf("healthz of a closed store: %d", a.status)
	}
	if a := s.send("GET", pathReadyz, ""); a.status != 503 {
		t.Errorf("readyz of a closed store: %d", a.status)
	}
}

// TestOptionsOfAll: OPTIONS * needs a key and a known host like all else.
func TestOptionsOfAll(t *testing.T) {
	srv := New(poolkeeper.New(emptyStore(t).Backend(), nil), &Options{Key: testKey})
	ln := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, ln) }()
	for host, want := range map[string]int{"localhost": 401, "evil.example": 403} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		c.Close()
		if err != nil || res.StatusCode != want {
			t.Errorf("%s: %v, %v, want %d", host, res, err, want)
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A without is a store that is not there, and is gone on without.
type without struct{ *memstore.Store }

func (w without) Info(ctx context.Context) (poolkeeper.Info, error) {
	info, err := w.Store.Info(ctx)
	info.Ready, info.Serving, info.Mode, info.Problem = false, info.Ready, poolkeeper.ModeDegraded, "it is away"
	return info, err
}

// TestReadyzSaysWhatTheStatusSays: whether requests are served, and whether the store
// is ready, are two facts, each of which is told in one way.
func TestReadyzSaysWhatTheStatusSays(t *testing.T) {
	for name, c := range map[string]struct {
		wrap    func(*memstore.Store) poolkeeper.Backend
		empty   bool
		code    int
		body    string
		ready   string
		serving string
	}{
		"there":               {func(s *memstore.Store) poolkeeper.Backend { return s }, false, 200, `{"status":"ready"}`, "true", "true"},
		"gone on without":     {func(s *memstore.Store) poolkeeper.Backend { return without{s} }, false, 200, `{"status":"serving","mode":"degraded"}`, "false", "true"},
		"nothing to serve":    {func(s *memstore.Store) poolkeeper.Backend { return without{s} }, true, 503, "", "false", "false"},
		"there, and is empty": {func(s *memstore.Store) poolkeeper.Backend { return s }, true, 503, "", "false", "false"},
	} {
		t.Run(name, func(t *testing.T) {
			m := memstore.New(nil)
			if !c.empty {
				if err := m.Restore(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			}
			s := startOver(t, poolkeeper.New(c.wrap(m), nil))
			a := s.send("GET", pathReadyz, "")
			if a.status != c.code || c.body != "" && strings.TrimSpace(a.body) != c.body {
				t.Errorf("readyz: %d %s", a.status, a.body)
			}
			status := s.want(200, "GET", "/status", "")
			equal(t, "ready", status.field(t, "ready"), c.ready)
			equal(t, "serving", status.field(t, "serving"), c.serving)
		})
	}
}
