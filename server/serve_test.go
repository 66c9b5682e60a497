package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A gate is a backend that holds up writes, or breaks, when it is told to.
type gate struct {
	poolkeeper.Backend
	entered chan struct{}
	leave   chan struct{}
	fault   func() error // of Load
}

func (g *gate) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	if g.entered != nil {
		g.entered <- struct{}{}
		<-g.leave
	}
	return g.Backend.Apply(ctx, ops...)
}

func (g *gate) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	if g.fault != nil {
		if err := g.fault(); err != nil {
			return nil, err
		}
	}
	return g.Backend.Load(ctx, keys...)
}

func gated(t testing.TB) *gate {
	t.Helper()
	b := memstore.New(nil)
	snap := poolkeeper.NewSnapshot()
	snap.AddPool(&poolkeeper.Pool{Type: "t", Providers: []poolkeeper.Provider{{Ref: poolkeeper.Ref{Type: "t", ID: "a"}, Definition: []byte(`{"uuid":"a"}`)}}})
	if err := b.Restore(context.Background(), snap); err != nil {
		t.Fatal(err)
	}
	return &gate{Backend: b}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// TestShutdown: what was accepted is answered, and counted; what comes after is
// not let in.
func TestShutdown(t *testing.T) {
	const n = 20
	g := gated(t)
	g.entered, g.leave = make(chan struct{}), make(chan struct{})
	srv := New(poolkeeper.New(g, nil), &Options{Key: testKey})
	srv.linger = 0 // all connections are in use
	ln := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, ln) }()
	statuses := make(chan int, n)
	for range n {
		go func() { statuses <- post(t, ln.Addr().String()) }()
	}
	for range n {
		<-g.entered
	}
	stop()
	for { // until the listener is closed
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case err := <-served:
		t.Fatalf("Serve returned with requests under way: %v", err)
	default:
	}
	close(g.leave)
	for range n {
		if status := <-statuses; status != 200 {
			t.Errorf("an accepted request was answered %d", status)
		}
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	p, err := srv.store.Provider(context.Background(), poolkeeper.Ref{Type: "t", ID: "a"})
	if err != nil || p.Count(poolkeeper.UsageCount) != n {
		t.Errorf("%v, %v", p, err)
	}
}

// TestLastAnswer: a connection that is in use when the service is told to stop is
// not just closed: it still brings requests, which are answered, and told that it
// was the last time.
func TestLastAnswer(t *testing.T) {
	g := gated(t)
	g.entered, g.leave = make(chan struct{}), make(chan struct{})
	srv := New(poolkeeper.New(g, nil), &Options{Key: testKey, ShutdownGrace: time.Hour})
	srv.linger = time.Hour // or until all connections are gone
	ln := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, ln) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	send := func() {
		t.Helper()
		if _, err := io.WriteString(c, "POST "+base+"/pools/t/a/usage HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+testKey+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	answered := func() *http.Response {
		t.Helper()
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if res.StatusCode != 200 {
			t.Errorf("status %d", res.StatusCode)
		}
		return res
	}
	send()
	<-g.entered
	stop()
	for { // until the listener is closed, and the service on its way to its end
		other, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			break
		}
		other.Close()
	}
	g.leave <- struct{}{}
	answered()
	// net/http would find the connection idle the next time that it looks, at the
	// latest after half a second.
	if err := c.SetReadDeadline(time.Now().Add(600 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a connection that was in use is closed, or was told something: %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	for last := false; !last; {
		send()
		<-g.entered
		g.leave <- struct{}{}
		last = answered().Close
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestShutdownBound: a request that hangs does not keep the service up.
func TestShutdownBound(t *testing.T) {
	g := gated(t)
	g.entered, g.leave = make(chan struct{}), make(chan struct{})
	srv := New(poolkeeper.New(g, nil), &Options{Key: testKey, ShutdownGrace: 20 * time.Millisecond})
	ln := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, ln) }()
	done := make(chan int, 1)
	go func() { done <- post(t, ln.Addr().String()) }()
	<-g.entered
	stop()
	if err := <-served; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Serve: %v", err)
	}
	close(g.leave)
	<-done
}

// post counts one use and returns the status, 0 where no answer came.
func post(t *testing.T, addr string) int {
	req, err := http.NewRequest("POST", "http://"+addr+base+"/pools/t/a/usage", nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

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
