package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
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
