package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/server"
)

const watchKey = "test-key-0123456789"

func watcher(t *testing.T, url string) *Client {
	t.Helper()
	c, err := New(url, watchKey, &Options{RetryFor: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// scripted is a service that answers each request for events with a script, the
// last one again and again, and then says nothing more.
func scripted(t *testing.T, scripts ...string) (url string, asked func() []string) {
	var mu sync.Mutex
	var last []string
	done := make(chan struct{})
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		script := scripts[min(len(last), len(scripts)-1)]
		last = append(last, r.Header.Get("Last-Event-ID"))
		mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, script)
		_ = http.NewResponseController(w).Flush()
		if !strings.HasSuffix(script, "cut\n") {
			select {
			case <-done:
			case <-r.Context().Done():
			}
		}
	}))
	t.Cleanup(func() {
		close(done)
		hs.Close()
	})
	return hs.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), last...)
	}
}

const (
	ready  = "id: g-0\nevent: ready\ndata: {}\n\n"
	resync = "id: h-0\nevent: resync\ndata: {}\n\n"
)

func change(n int) string {
	return fmt.Sprintf("id: g-%d\nevent: change\ndata: {\"kind\":\"value\",\"key\":{\"kind\":\"config\"},\"after\":\"%d-w-1\"}\n\n", n, n)
}

// A watch ends where it cannot go on, by the class of what the service says.
func TestWatchEnds(t *testing.T) {
	end := func(code string) string {
		return "event: end\ndata: {\"code\":\"" + code + "\",\"detail\":\"so it is\",\"hint\":\"do\"}\n\n"
	}
	for name, c := range map[string]struct {
		scripts []string
		want    error
		told    int // with ready
	}{
		"the watch of the service ended": {[]string{ready + change(1) + end("unavailable")}, poolkeeper.ErrUnavailable, 2},
		"the store is another one":       {[]string{ready + end("lost")}, poolkeeper.ErrLost, 1},
		"the service stops":              {[]string{ready + end("closed")}, poolkeeper.ErrUnavailable, 1},
		"a code of a later version":      {[]string{ready + end("odd")}, poolkeeper.ErrUnavailable, 1},
		"an end that cannot be read":     {[]string{ready + "event: end\ndata: x\n\n"}, poolkeeper.ErrUnavailable, 1},
		"it may have missed something":   {[]string{ready + change(1) + "cut\n", resync}, poolkeeper.ErrUnavailable, 2},
		"a second beginning":             {[]string{ready + change(1) + "cut\n", ready}, poolkeeper.ErrUnavailable, 2},
		"a change that cannot be read":   {[]string{ready + "event: change\ndata: {\"kind\":1}\n\n"}, poolkeeper.ErrUnavailable, 1},
		"a change before it is ready":    {[]string{change(1)}, poolkeeper.ErrUnavailable, 0},
		"too long an event":              {[]string{ready + "data: " + strings.Repeat("x", maxEvent) + "\n\n"}, poolkeeper.ErrUnavailable, 1},
		"nothing more":                   {[]string{ready + change(1), ":\n\n"}, poolkeeper.ErrUnavailable, 2},
		"nothing at all":                 {[]string{""}, poolkeeper.ErrUnavailable, 0},
		"what the client does not know":  {[]string{ready + "retry: 5\nevent: news\ndata: {}\n\n" + change(1) + end("foreign")}, poolkeeper.ErrForeign, 2},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := scripted(t, c.scripts...)
			cl := watcher(t, url)
			cl.idle, cl.opts.RetryFor = 200*time.Millisecond, 300*time.Millisecond
			if len(c.scripts[0]) > maxEvent {
				cl.idle = eventIdle
			}
			var told []poolkeeper.Change
			err := cl.Watch(t.Context(), func(c poolkeeper.Change) { told = append(told, c) })
			if !errors.Is(err, c.want) || len(told) != c.told {
				t.Errorf("after %d changes: %v; want %d and %v", len(told), err, c.told, c.want)
			}
			if len(told) > 0 && told[0].Kind != poolkeeper.ChangeReady {
				t.Errorf("the first is %+v", told[0])
			}
		})
	}
}

// After a lost connection a watch asks for what came after the last event.
func TestWatchAsksForTheRest(t *testing.T) {
	url, asked := scripted(t, ready+"cut\n", ":\n\n"+change(1)+change(2)+"cut\n", "cut\n", change(3))
	cl := watcher(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	var told []uint64
	err := cl.Watch(ctx, func(c poolkeeper.Change) {
		if told = append(told, c.After.Number); c.After.Number == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || fmt.Sprint(told) != "[0 1 2 3]" {
		t.Errorf("told %v, then %v", told, err)
	}
	if got := fmt.Sprint(asked()); got != "[ g-0 g-2 g-2]" {
		t.Errorf("asked for what comes after %s", got)
	}
}

// Cut again and again, a watch of a service that goes on misses nothing and tells
// nothing twice.
func TestWatchAmongCuts(t *testing.T) {
	st := poolkeeper.New(memstore.New(nil), nil)
	defer st.Close()
	if err := st.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	a := poolkeeper.Ref{Type: "t", ID: "a"}
	if _, err := st.AddProvider(t.Context(), "t", []byte(`{"uuid":"a"}`)); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	hs := httptest.NewUnstartedServer(server.New(st, &server.Options{Key: watchKey}).Handler())
	hs.Config.ConnState = func(c net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if s == http.StateNew {
			open[c] = true
		}
	}
	hs.Start()
	defer hs.Close()
	cl := watcher(t, hs.URL)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun, ended := make(chan struct{}), make(chan error, 1)
	var told atomic.Uint64
	go func() {
		first := uint64(0)
		ended <- cl.Watch(ctx, func(c poolkeeper.Change) {
			switch {
			case c.Kind == poolkeeper.ChangeReady:
				close(begun)
			case first == 0:
				first = c.After.Number
				told.Add(1)
			case c.After.Number != first+told.Load():
				t.Errorf("after %d changes comes %v", told.Load(), c.After)
				cancel()
			default:
				told.Add(1)
			}
		})
	}()
	<-begun
	const cuts, each = 20, 15
	for range cuts {
		for range each {
			if _, err := st.Usage(t.Context(), a, 1); err != nil {
				t.Fatal(err)
			}
		}
		mu.Lock()
		for c := range open {
			c.Close()
		}
		clear(open)
		mu.Unlock()
	}
	for told.Load() < cuts*each {
		select {
		case err := <-ended:
			t.Fatalf("after %d changes Watch returned %v", told.Load(), err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch returned %v", err)
	}
}

// A key that is refused is not tried again.
func TestWatchIsRefused(t *testing.T) {
	st := poolkeeper.New(memstore.New(nil), nil)
	defer st.Close()
	hs := httptest.NewServer(server.New(st, &server.Options{Key: "another-key-0123456789"}).Handler())
	defer hs.Close()
	err := watcher(t, hs.URL).Watch(t.Context(), func(c poolkeeper.Change) { t.Errorf("told of %+v", c) })
	if !errors.Is(err, poolkeeper.ErrUnauthorized) {
		t.Errorf("Watch returned %v", err)
	}
}
