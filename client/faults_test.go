package client_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/client"
	"github.com/poolkeeper/poolkeeper/memstore"
)

var pool = poolkeeper.PoolKey("t")

func use(id string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: pool, ID: id, N: 1, At: 1_769_337_000_000}
}

func patch(id string, n int) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpPatchProvider, Key: pool, ID: id, Patch: poolkeeper.MergePatch, Data: []byte(`{"n":` + strconv.Itoa(n) + `}`)}
}

// filled initialises a backend with a few providers.
func filled(t testing.TB, b poolkeeper.Backend) poolkeeper.Backend {
	t.Helper()
	snap := poolkeeper.NewSnapshot()
	p := &poolkeeper.Pool{Type: "t"}
	for _, id := range []string{"a", "b", "c"} {
		p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "t", ID: id}, Definition: []byte(`{"uuid":"` + id + `"}`)})
	}
	snap.AddPool(p)
	if err := b.Restore(context.Background(), snap); err != nil {
		t.Fatal(err)
	}
	return b
}

func counted(t *testing.T, b poolkeeper.Backend, id string) int64 {
	t.Helper()
	r := poolkeeper.Ref{Type: "t", ID: id}
	snap, err := b.Load(context.Background(), poolkeeper.ProviderKey(r))
	if err != nil {
		t.Fatal(err)
	}
	return snap.Provider(r).Count(poolkeeper.UsageCount)
}

// TestFaults: many callers count through a proxy that breaks connections before
// and after the service has answered, and each increment counts exactly once.
func TestFaults(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for where, open := range map[string]func(testing.TB, func() time.Time) poolkeeper.Backend{"memory": inMemory, "redis": inRedis(t)} {
		t.Run(where, func(t *testing.T) {
			b := filled(t, open(t, time.Now))
			p := startProxy(t, serve(t, b), randomly(seed, 0.1, 0.1, 0.1))
			const callers, each = 12, 50
			clients := []*client.Client{dial(t, p.url, &client.Options{RetryFor: time.Minute}), dial(t, p.url, &client.Options{RetryFor: time.Minute})}
			var mu sync.Mutex
			seen := map[int64]bool{}
			var wg sync.WaitGroup
			var lost atomic.Int64 // patches whose outcome is not known
			for i := range callers {
				wg.Go(func() {
					c := clients[i%len(clients)]
					for n := range each {
						ops := []poolkeeper.Op{use("a"), patch("c", i*each+n), use("b"), use("b")}
						if n%2 == 0 {
							ops = ops[:1]
						}
						for k, r := range c.Apply(t.Context(), ops...) {
							switch {
							case ops[k].Kind != poolkeeper.OpUsage && errors.Is(r.Err, poolkeeper.ErrIndeterminate):
								lost.Add(1)
							case r.Err != nil:
								t.Errorf("%s %s: %v", ops[k].Kind, ops[k].ID, r.Err)
							case ops[k].ID == "a":
								mu.Lock()
								if seen[r.Count] {
									t.Errorf("the count %d was answered twice", r.Count)
								}
								seen[r.Count] = true
								mu.Unlock()
							}
						}
					}
				})
			}
			wg.Wait()
			if n := counted(t, b, "a"); n != callers*each {
				t.Errorf("a was counted %d times, want %d", n, callers*each)
			}
			if n := counted(t, b, "b"); n != callers*each {
				t.Errorf("b was counted %d times, want %d", n, callers*each)
			}
			for _, fault := range []string{cutBefore, cutAfter, cutMid} {
				if p.count(fault) == 0 {
					t.Errorf("the fault %q did not occur", fault)
				}
			}
			if lost.Load() == 0 {
				t.Error("no outcome of a patch was unknown")
			}
		})
	}
}

// TestNotSentAgain: what cannot be sent twice is sent once, and its outcome is
// not known; it was applied or not.
func TestNotSentAgain(t *testing.T) {
	b := filled(t, memstore.New(nil))
	p := startProxy(t, serve(t, b), always("", ""))
	c := dial(t, p.url, nil)
	const path = "/api/v1/ops"
	for i, fault := range []string{cutBefore, cutAfter, cutMid} {
		p.set(always(fault, path))
		before := p.count(fault)
		for _, op := range []poolkeeper.Op{patch("a", i), {Kind: poolkeeper.OpError, Key: pool, ID: "a"}, {Kind: poolkeeper.OpSuccess, Key: pool, ID: "a", N: 1}} {
			if r := c.Apply(t.Context(), op)[0]; !errors.Is(r.Err, poolkeeper.ErrIndeterminate) {
				t.Errorf("cut %s, %s: error %v", fault, op.Kind, r.Err)
			}
		}
		if n := p.count(fault) - before; n != 3 {
			t.Errorf("cut %s: %d requests for three ops", fault, n)
		}
		p.set(always("", ""))
		snap, err := c.Load(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		a := snap.Pools["t"].Providers[0]
		applied := string(a.Definition) == `{"uuid":"a","n":`+strconv.Itoa(i)+`}`
		if applied != (fault != cutBefore) {
			t.Errorf("cut %s: the definition is %s", fault, a.Definition)
		}
	}
	// In one request with them, an increment is sent again, and nothing else is.
	p.set(once(cutAfter))
	rs := c.Apply(t.Context(), patch("b", 1), use("b"), patch("b", 2))
	if !errors.Is(rs[0].Err, poolkeeper.ErrIndeterminate) || rs[1].Err != nil || rs[1].Count != 1 || !errors.Is(rs[2].Err, poolkeeper.ErrIndeterminate) {
		t.Errorf("%+v", rs)
	}
	if n := counted(t, b, "b"); n != 1 {
		t.Errorf("counted %d times", n)
	}
}

// once makes a fault for the first request.
func once(fault string) func(string) string {
	return func(string) (f string) {
		f, fault = fault, ""
		return f
	}
}

// TestGivenUp: an increment that finds no answer in its time is indeterminate,
// as it may have been counted.
func TestGivenUp(t *testing.T) {
	b := filled(t, memstore.New(nil))
	p := startProxy(t, serve(t, b), always(cutAfter, "/api/v1/ops"))
	c := dial(t, p.url, &client.Options{RetryFor: 100 * time.Millisecond})
	if r := c.Apply(t.Context(), use("a"))[0]; !errors.Is(r.Err, poolkeeper.ErrIndeterminate) {
		t.Errorf("error %v", r.Err)
	}
	if p.count(cutAfter) < 2 {
		t.Error("it was not sent again")
	}
	if n := counted(t, b, "a"); n != 1 {
		t.Errorf("counted %d times", n)
	}
	// A read has no outcome that could be unknown.
	p.set(always(cutMid, "/api/v1/load"))
	if _, err := c.Load(t.Context()); !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Errorf("Load: %v", err)
	}
	p.set(once(cutMid))
	if snap, err := c.Load(t.Context()); err != nil || len(snap.Types) != 1 {
		t.Errorf("Load, cut once: %v", err)
	}
	// A restore that was cut off may be done.
	p.set(always(cutAfter, "/api/v1/restore"))
	if err := c.Restore(t.Context(), nil); !errors.Is(err, poolkeeper.ErrIndeterminate) {
		t.Errorf("Restore: %v", err)
	}
}

// TestNotSent: where nobody listens, nothing was sent: everything is surely not
// applied, and is tried again until somebody does.
func TestNotSent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	c := dial(t, "http://"+addr, &client.Options{RetryFor: 50 * time.Millisecond})
	for _, op := range []poolkeeper.Op{use("a"), patch("a", 1)} {
		if r := c.Apply(t.Context(), op)[0]; !errors.Is(r.Err, poolkeeper.ErrUnavailable) {
			t.Errorf("%s: %v", op.Kind, r.Err)
		}
	}
	if _, err := c.Load(t.Context()); !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Errorf("Load: %v", err)
	}
	if err := c.Restore(t.Context(), nil); !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Errorf("Restore: %v", err)
	}
	if info, err := c.Info(t.Context()); err != nil || info.Ready || info.Problem == "" || info.Backend == "" {
		t.Errorf("Info: %+v, %v", info, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	patient := dial(t, "http://"+addr, &client.Options{RetryFor: time.Hour})
	if r := patient.Apply(ctx, use("a"))[0]; r.Err != context.DeadlineExceeded {
		t.Errorf("a context that ends before anything was sent: %v", r.Err)
	}
}

// TestReconnect: what the service did not get for want of a connection is sent
// once there is one.
func TestReconnect(t *testing.T) {
	path := t.TempDir() + "/s"
	c := dial(t, "unix://"+path, &client.Options{RetryFor: time.Minute})
	done, refused := make(chan poolkeeper.Result), make(chan struct{}, 1000)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		ConnectDone: func(_, _ string, err error) { refused <- struct{}{} },
	})
	go func() { done <- c.Apply(ctx, patch("a", 1))[0] }()
	<-refused
	serveAt(t, path, filled(t, memstore.New(nil)))
	if r := <-done; r.Err != nil {
		t.Error(r.Err)
	}
}

// held is a backend that holds up ops until it is let go.
type held struct {
	poolkeeper.Backend
	entered, leave, done chan struct{}
}

func hold(b poolkeeper.Backend) *held {
	return &held{b, make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)}
}

func (h *held) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	h.entered <- struct{}{}
	<-h.leave
	defer func() { h.done <- struct{}{} }()
	return h.Backend.Apply(context.WithoutCancel(ctx), ops...)
}

// TestContext: a context that ends after an op was sent leaves its outcome
// unknown, and the op goes its way.
func TestContext(t *testing.T) {
	h := hold(filled(t, memstore.New(nil)))
	c := dial(t, serve(t, h), nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan poolkeeper.Result)
	go func() { done <- c.Apply(ctx, use("a"))[0] }()
	<-h.entered
	cancel()
	if r := <-done; !errors.Is(r.Err, poolkeeper.ErrIndeterminate) {
		t.Errorf("error %v", r.Err)
	}
	h.leave <- struct{}{}
	<-h.done
	if n := counted(t, h.Backend, "a"); n != 1 {
		t.Errorf("counted %d times", n)
	}
}

// TestClose: closing waits for the ops under way, and they are answered.
func TestClose(t *testing.T) {
	h := hold(filled(t, memstore.New(nil)))
	c := dial(t, serve(t, h), nil)
	done := make(chan poolkeeper.Result, 1)
	go func() { done <- c.Apply(t.Context(), use("a"))[0] }()
	<-h.entered
	closed := make(chan error)
	go func() { closed <- c.Close() }()
	select {
	case <-closed:
		t.Error("closed with an op under way")
	default:
	}
	h.leave <- struct{}{}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if r := <-done; r.Err != nil || r.Count != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := c.Info(t.Context()); !errors.Is(err, poolkeeper.ErrClosed) {
		t.Errorf("Info: %v", err)
	}
}
