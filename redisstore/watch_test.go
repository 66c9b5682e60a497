package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// A spy is a watch and what it was told.
type spy struct {
	t     *testing.T
	ready chan struct{}
	ended chan error

	mu   sync.Mutex
	told []poolkeeper.Change
	news chan struct{}
}

// spyOn begins a watch, and returns when it is ready.
func spyOn(t *testing.T, b *redisstore.Store) *spy {
	t.Helper()
	s := startSpy(t, b)
	select {
	case <-s.ready:
	case err := <-s.ended:
		t.Fatalf("Watch returned %v before it was ready", err)
	}
	return s
}

func startSpy(t *testing.T, b *redisstore.Store) *spy {
	ctx, cancel := context.WithCancel(t.Context())
	s := &spy{t: t, ready: make(chan struct{}), ended: make(chan error, 1), news: make(chan struct{}, 1)}
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.ended <- b.Watch(ctx, func(c poolkeeper.Change) {
			if c.Kind == poolkeeper.ChangeReady {
				close(s.ready)
				return
			}
			s.mu.Lock()
			s.told = append(s.told, c)
			s.mu.Unlock()
			select {
			case s.news <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return s
}

func (s *spy) changes() []poolkeeper.Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]poolkeeper.Change(nil), s.told...)
}

// wait waits until a change was told that fits.
func (s *spy) wait(what string, fits func(poolkeeper.Change) bool) poolkeeper.Change {
	s.t.Helper()
	limit := time.After(20 * time.Second)
	for n := 0; ; {
		for all := s.changes(); n < len(all); n++ {
			if fits(all[n]) {
				return all[n]
			}
		}
		select {
		case <-s.news:
		case <-limit:
			s.t.Fatalf("%s was not told; told was %+v", what, s.changes())
		}
	}
}

// ends waits until Watch returns, with an error of that class.
func (s *spy) ends(want error) {
	s.t.Helper()
	select {
	case err := <-s.ended:
		if !errors.Is(err, want) {
			s.t.Errorf("Watch returned %v, want %v", err, want)
		}
	case <-time.After(20 * time.Second):
		s.t.Fatalf("Watch does not end, where it should with %v", want)
	}
}

func ofKey(key poolkeeper.Key) func(poolkeeper.Change) bool {
	return func(c poolkeeper.Change) bool { return c.Key == key }
}

// quick makes a store notice a silent server soon.
func quick(o *redisstore.Options) { o.CommandTimeout = time.Second }

// Whatever ends the connection ends the watch. Nothing subscribes again behind
// its reader's back, and what was heard before is told.
func TestWatchEndsWithItsConnection(t *testing.T) {
	silent := map[string]bool{"packets lost": true, "server stopped": true}
	for name, harm := range map[string]func(*rig, *redistest.Proxy){
		"cut":           func(_ *rig, p *redistest.Proxy) { p.DropAll() },
		"down":          func(_ *rig, p *redistest.Proxy) { p.Down() },
		"packets lost":  func(_ *rig, p *redistest.Proxy) { p.Blackhole(true) },
		"server killed": func(r *rig, _ *redistest.Proxy) { r.srv.Kill() },
		"server stopped": func(r *rig, _ *redistest.Proxy) {
			r.srv.Pause()
			r.Cleanup(r.srv.Resume)
		},
		"subscriber killed": func(r *rig, _ *redistest.Proxy) { r.srv.DoInt("CLIENT", "KILL", "TYPE", "pubsub") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			patience := hasty
			if silent[name] {
				patience = quick
			}
			proxy, b := r.proxied(patience)
			s := spyOn(t, b)
			res := r.must(r.b, useOp("a", 1))
			s.wait("the increment", func(c poolkeeper.Change) bool { return c.After == res.Revision })
			harm(r, proxy)
			s.ends(poolkeeper.ErrUnavailable)
			if n := len(s.changes()); n != 1 {
				t.Errorf("%d changes were told, want 1", n)
			}
		})
	}
}

// While connections are cut again and again, a reader that begins anew each time
// misses nothing: each watch continues what was loaded when it was ready.
func TestWatchAmongCuts(t *testing.T) {
	r := newRig(t)
	proxy, b := r.proxied()
	ctx, cancel := context.WithCancel(t.Context())
	var known poolkeeper.Revision
	var count int64
	var watches int
	fresh := make(chan struct{}, 1)
	over := make(chan struct{})
	load := func() {
		snap, err := r.b.Load(ctx, kiro)
		if err != nil {
			t.Error(err)
			return
		}
		known, count = snap.Pools["kiro"].Revision, snap.Provider(poolkeeper.Ref{Type: "kiro", ID: "a"}).Count(poolkeeper.UsageCount)
	}
	go func() {
		defer close(over)
		for ctx.Err() == nil {
			err := b.Watch(ctx, func(c poolkeeper.Change) {
				switch {
				case c.Kind == poolkeeper.ChangeReady:
					watches++
					load()
					select {
					case fresh <- struct{}{}:
					default:
					}
				case c.Key != kiro || c.After.Number <= known.Number:
				case c.Before != known:
					t.Errorf("watch %d: %v comes after %v", watches, c, known)
					load()
				default:
					lit, _ := c.States[0].State.Get(poolkeeper.UsageCount)
					known, count = c.After, poolkeeper.Int(lit)
				}
			})
			if ctx.Err() == nil && !errors.Is(err, poolkeeper.ErrUnavailable) {
				t.Errorf("Watch returned %v", err)
			}
		}
	}()
	const cuts, each = 15, 20
	for range cuts {
		<-fresh
		for range each {
			r.must(r.b, useOp("a", 1))
		}
		proxy.DropAll()
	}
	<-fresh
	cancel()
	<-over
	if watches <= cuts || count != 5+cuts*each {
		t.Errorf("after %d watches usageCount %d, want %d", watches, count, 5+cuts*each)
	}
}

// A watch of a store that is gone, or is another one, says so.
func TestWatchOfAnotherEpoch(t *testing.T) {
	t.Run("while it runs", func(t *testing.T) {
		r := newRig(t)
		s := spyOn(t, r.open(r.srv.SocketURL(), quick))
		r.srv.FlushAll()
		s.ends(poolkeeper.ErrLost)
	})
	t.Run("when it begins", func(t *testing.T) {
		r := newRig(t)
		r.srv.DoInt("HSET", "t:meta", "epoch", strings.Repeat("0", 32))
		s := startSpy(t, r.b)
		s.ends(poolkeeper.ErrLost)
		select {
		case <-s.ready:
			t.Error("it was ready")
		default:
		}
	})
}

// A watch is not ready before Redis has confirmed what it subscribes to.
func TestWatchIsReadyWhenSubscribed(t *testing.T) {
	r := newRig(t)
	proxy, b := r.proxied()
	proxy.Delay(100 * time.Millisecond)
	s := startSpy(t, b)
	<-s.ready
	if n := r.srv.DoInt("PUBLISH", channelOf(t, r.b)+":", ""); n != 0 {
		t.Errorf("%d subscribers of another channel", n)
	}
	if got := r.srv.DoStrings("PUBSUB", "CHANNELS", "*"); len(got) != 1 || got[0] != channelOf(t, r.b) {
		t.Errorf("channels %q are subscribed to when it is ready, want that of the epoch", got)
	}
}

// A user who may not subscribe hears so.
func TestWatchIsForbidden(t *testing.T) {
	srv := redistest.Start(t, redistest.WithACL("deaf on >pw ~* &* +@all -subscribe", "elsewhere on >pw ~* &other:* +@all"))
	r := rigOn(t, srv)
	for _, user := range []string{"deaf", "elsewhere"} {
		startSpy(t, r.open(withUser(t, srv.SocketURL(), user, "pw"))).ends(poolkeeper.ErrForbidden)
	}
}

// A reader that is slower than the changes is let go, and the connection is not
// held up.
func TestSlowWatchEnds(t *testing.T) {
	r := newRig(t)
	begun, release := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- r.b.Watch(t.Context(), func(c poolkeeper.Change) {
			if c.Kind == poolkeeper.ChangeReady {
				close(begun)
				<-release
			} else {
				t.Errorf("told of %+v after a gap", c)
			}
		})
	}()
	<-begun
	channel := channelOf(t, r.b)
	text := "1" + netstrings("t:ctl:{"+rigPool+"}", "1 w 1", "2 w 2", "provider", "put", "a", "", strings.Repeat("x", 4096))
	var flood [][]string
	for range 1000 {
		flood = append(flood, []string{"PUBLISH", channel, text})
	}
	for range 17 { // 69 MB
		if _, err := r.srv.Pipeline(flood...); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	if err := <-ended; !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Errorf("Watch returned %v, want %v", err, poolkeeper.ErrUnavailable)
	}
}

func netstrings(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%d:%s,", len(p), p)
	}
	return b.String()
}

// What cannot be read may be of anything: the watch ends.
func TestUnreadablePublicationEndsTheWatch(t *testing.T) {
	r := newRig(t)
	for _, text := range []string{"2" + netstrings("t:ctl:{"+rigPool+"}", "0", "1 w 1", "state"), "", "1", "1" + netstrings("x", "0", "1 w 1", "state")} {
		s := spyOn(t, r.b)
		r.srv.DoInt("PUBLISH", channelOf(t, r.b), text)
		s.ends(poolkeeper.ErrUnavailable)
	}
}

// A literal that a replacement laid before it was given up is told with the
// definition that it keeps the effective state over.
func TestLaidUnpublished(t *testing.T) {
	r := newRig(t)
	s := spyOn(t, r.b)
	r.srv.DoInt("HSET", "t:state:{"+rigPool+"}", "a:usageCount", "5") // as carry.lua does
	res := r.must(r.b, defineOp(poolkeeper.OpPutProvider, "a", `,"usageCount":9`))
	c := s.wait("the definition", func(c poolkeeper.Change) bool { return c.After == res.Revision })
	if len(c.States) != 1 || c.States[0].Whole {
		t.Fatalf("told %+v, want one field", c)
	}
	if lit, ok := c.States[0].State.Get(poolkeeper.UsageCount); !ok || lit != "5" {
		t.Errorf("usageCount %q, %v; want 5", lit, ok)
	}
}

// After a failover the former primary may live on, and answer.
func TestWatchAfterFailover(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	b, err := redisstore.Open(t.Context(), g.URL(), &redisstore.Options{Prefix: rigPrefix, CommandTimeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Restore(t.Context(), rigSnapshot()); err != nil {
		t.Fatal(err)
	}
	s := spyOn(t, b)
	g.Failover()
	s.ends(poolkeeper.ErrUnavailable)
	for { // until the client has found the new primary
		s = startSpy(t, b)
		select {
		case <-s.ready:
		case err := <-s.ended:
			if !errors.Is(err, poolkeeper.ErrUnavailable) {
				t.Fatalf("Watch returned %v", err)
			}
			continue
		}
		break
	}
	if res := b.Apply(t.Context(), useOp("a", 1))[0]; res.Err != nil {
		t.Fatal(res.Err)
	}
	s.wait("an increment on the new primary", ofKey(kiro))
}
