package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

func TestEvents(t *testing.T) {
	s := start(t)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	l := hear(t, s.http.URL, "")
	l.wants("ready")
	s.use(1)
	s.want(200, "PUT", "/tokens/t/a", `{"refreshToken":"s3cret"}`)
	first := l.wants("change")
	if c := first.change(t); c.Kind != poolkeeper.ChangeState || c.Key != poolkeeper.PoolKey("t") || c.States[0].ID != "a" || c.After.Number != c.Before.Number+1 {
		t.Errorf("told of %+v", c)
	}
	second := l.wants("change")
	if c := second.change(t); c.Kind != poolkeeper.ChangeValue || c.Key != poolkeeper.TokenKey(poolkeeper.Ref{Type: "t", ID: "a"}) {
		t.Errorf("told of %+v", c)
	}
	if strings.Contains(second.data, "s3cret") || first.id == second.id || first.id == "" {
		t.Errorf("events %+v, %+v", first, second)
	}
}

// Whoever comes again goes on after what it had; whoever cannot is told to load
// what it keeps.
func TestEventsGoOn(t *testing.T) {
	s := start(t)
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	l := hear(t, s.http.URL, "")
	ready := l.wants("ready")
	s.use(3)
	one := l.wants("change")
	l.res.Body.Close()
	s.use(1)
	for id, missed := range map[string]int{ready.id: 4, one.id: 3} {
		again := hear(t, s.http.URL, id)
		for i := range missed {
			if c := again.wants("change").change(t); c.After.Number != uint64(5+i-missed+1) {
				t.Errorf("after %s, change %d of %d is %+v", id, i, missed, c)
			}
		}
	}
	for _, id := range []string{"x", "0123456789abcdef-1", strings.Replace(one.id, "-1", "-99", 1), strings.Split(one.id, "-")[0] + "-"} {
		again := hear(t, s.http.URL, id)
		again.wants("resync")
		s.use(1)
		again.wants("change")
	}
}

// A watch is shared, and there is none where nobody asks.
func TestEventsShareAWatch(t *testing.T) {
	b := &counting{Store: memstore.New(nil)}
	st := poolkeeper.New(b, nil)
	if err := st.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s := startOver(t, st)
	s.srv.hub.linger = time.Millisecond
	var ls []*hearer
	for range 5 {
		l := hear(t, s.http.URL, "")
		l.wants("ready")
		ls = append(ls, l)
	}
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	for _, l := range ls {
		l.wants("change") // the types
		if c := l.wants("change").change(t); c.Kind != poolkeeper.ChangePut || c.ID != "a" {
			t.Errorf("told of %+v", c)
		}
		l.res.Body.Close()
	}
	if n := b.begun.Load(); n != 1 {
		t.Errorf("%d watches for five streams", n)
	}
	for b.open.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	l := hear(t, s.http.URL, "") // and then there is another one
	l.wants("ready")
}

type counting struct {
	*memstore.Store
	begun, open atomic.Int64
}

func (c *counting) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	c.begun.Add(1)
	c.open.Add(1)
	defer c.open.Add(-1)
	return c.Store.Watch(ctx, fn)
}

// failing is a store whose watch ends when it is told to.
type failing struct {
	*memstore.Store
	fail chan error
}

func (f *failing) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-f.fail:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	if err := f.Store.Watch(ctx, fn); context.Cause(ctx) == nil {
		return err
	}
	return context.Cause(ctx)
}

// Where the watch may have missed something the streams end, and say so; the
// next ones are told to load.
func TestEventsEnd(t *testing.T) {
	b := &failing{memstore.New(nil), make(chan error)}
	st := poolkeeper.New(b, nil)
	if err := st.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s := startOver(t, st)
	l := hear(t, s.http.URL, "")
	ready := l.wants("ready")
	b.fail <- poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the connection was lost").WithHint("wait")
	var p problem
	if err := json.Unmarshal([]byte(l.wants("end").data), &p); err != nil || p.Code != "unavailable" || !strings.Contains(p.Detail, "connection was lost") {
		t.Errorf("ended with %+v, %v", p, err)
	}
	l.over()
	hear(t, s.http.URL, ready.id).wants("resync")
}

func TestEventsRefused(t *testing.T) {
	s := startOver(t, poolkeeper.New(memstore.New(nil), nil))
	if a := s.do("GET", "/events", ""); a.status != 503 || a.field(t, "code") != `"uninitialized"` {
		t.Errorf("an uninitialised store: %d %s", a.status, a.body)
	}
	s.store.Close()
	if a := s.do("GET", "/events", ""); a.status != 503 || a.field(t, "code") != `"closed"` {
		t.Errorf("a closed store: %d %s", a.status, a.body)
	}
	blind := startOver(t, poolkeeper.New(struct{ poolkeeper.Backend }{memstore.New(nil)}, nil))
	if a := blind.do("GET", "/events", ""); a.status != 400 {
		t.Errorf("a store that cannot be watched: %d %s", a.status, a.body)
	}
	full := start(t)
	full.srv.hub.streams = maxStreams
	if a := full.do("GET", "/events", ""); a.status != 503 || !strings.Contains(a.body, "streams") {
		t.Errorf("one stream too many: %d %s", a.status, a.body)
	}
	if n := s.srv.hub.streams; n != 0 {
		t.Errorf("%d streams are counted after refusals", n)
	}
}

// A stream outlasts the time that a request may take, and says that it lives.
func TestEventsOutlastTimeouts(t *testing.T) {
	s := start(t)
	s.srv.heartbeat = 20 * time.Millisecond
	hs := httptest.NewUnstartedServer(s.srv.Handler())
	hs.Config.ReadTimeout, hs.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	hs.Start()
	t.Cleanup(hs.Close)
	l := hear(t, hs.URL, "")
	l.wants("ready")
	for i := range 10 {
		if e, ok := l.any(); !ok || e.name != "" {
			t.Fatalf("heartbeat %d: %+v, %v, %v", i, e, ok, l.lines.Err())
		}
	}
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	l.wants("change")
}

// A service that stops ends its streams, and does not wait for their clients.
func TestEventsEndWithTheService(t *testing.T) {
	s := start(t)
	ln := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.srv.Serve(ctx, ln) }()
	l := hear(t, "http://"+ln.Addr().String(), "")
	l.wants("ready")
	stop()
	if e := l.wants("end"); !strings.Contains(e.data, `"closed"`) {
		t.Errorf("ended with %+v", e)
	}
	l.over()
	if err := <-served; err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

// What is kept is bounded, and whoever is too far behind is not told a part.
func TestRingIsBounded(t *testing.T) {
	take := func(r *ring, n, size int) {
		for range n {
			r.take(poolkeeper.Change{Kind: poolkeeper.ChangePut, Key: poolkeeper.PoolKey("t"), ID: "a", Definition: make([]byte, size)})
		}
	}
	for name, c := range map[string]struct{ n, size int }{"events": {ringEvents + 10, 1}, "bytes": {40, 1 << 20}} {
		r := newRing(func() {})
		take(r, c.n, c.size)
		if _, _, ok := r.from(1); ok {
			t.Errorf("%s: the first of %d events is kept", name, c.n)
		}
		if _, ok := r.follows(r.id(1)); ok {
			t.Errorf("%s: a stream goes on after an event whose successor is gone", name)
		}
		if r.bytes > ringBytes || len(r.events) > ringEvents {
			t.Errorf("%s: %d events of %d bytes are kept", name, len(r.events), r.bytes)
		}
		last := uint64(c.n)
		if number, ok := r.follows(r.id(last)); !ok || number != last+1 || r.next() != last+1 {
			t.Errorf("%s: after the last event comes %d, %v", name, number, ok)
		}
		if events, _, ok := r.from(last); !ok || len(events) != 1 {
			t.Errorf("%s: from the last on %d, %v", name, len(events), ok)
		}
	}
}

// A client that takes nothing is cut off, and holds up nobody.
func TestSlowStreamIsCut(t *testing.T) {
	s := start(t)
	r, err := s.srv.hub.join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.srv.hub.leave()
	w := httptest.NewRecorder()
	st := &stream{rc: http.NewResponseController(w), w: w, ring: r, next: r.next()}
	s.want(201, "POST", "/pools/t", `{"uuid":"a"}`)
	for range ringEvents + 10 {
		if _, err := s.store.Usage(t.Context(), poolkeeper.Ref{Type: "t", ID: "a"}, 1); err != nil {
			t.Fatal(err)
		}
	}
	for r.next() < ringEvents+10 {
		time.Sleep(time.Millisecond)
	}
	if err := st.run(t.Context(), time.Hour); poolkeeper.ClassOf(err).Err != poolkeeper.ErrUnavailable {
		t.Errorf("it was sent a part: %v\n%s", err, fmt.Sprint(w.Body.Len()))
	}
}
