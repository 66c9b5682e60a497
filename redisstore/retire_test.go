package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// laneStore is an initialised store with a provider a in each of n pools.
func laneStore(t *testing.T, n int) *Store {
	t.Helper()
	s, err := Open(t.Context(), redistest.Start(t).SocketURL(), &Options{Prefix: "t:"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	snap := poolkeeper.NewSnapshot()
	for i := range n {
		typ := fmt.Sprint("t", i)
		snap.AddPool(&poolkeeper.Pool{Type: typ, Providers: []poolkeeper.Provider{{Ref: poolkeeper.Ref{Type: typ, ID: "a"}, Definition: []byte(`{"uuid":"a"}`)}}})
	}
	if err := s.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Store) listed() (lanes, pools int) {
	s.lanes.Range(func(_, _ any) bool { lanes++; return true })
	s.pools.Range(func(_, _ any) bool { pools++; return true })
	return lanes, pools
}

func useOf(typ, id string) poolkeeper.Op {
	return poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(typ), ID: id, N: 1, At: 1}
}

// A key that is only asked for leaves no lane behind; one that is written to
// does, as its sequence has to be remembered.
func TestLanesOfNothing(t *testing.T) {
	s := laneStore(t, 1)
	for i := range 100 {
		name := fmt.Sprint("nope", i)
		ref := poolkeeper.Ref{Type: name, ID: "x"}
		for _, op := range []poolkeeper.Op{
			useOf(name, "x"), {Kind: poolkeeper.OpError, Key: poolkeeper.PoolKey(name), ID: "x", At: 1},
			{Kind: poolkeeper.OpDeleteProvider, Key: poolkeeper.PoolKey(name), ID: "x", At: 1},
			{Kind: poolkeeper.OpDelete, Key: poolkeeper.TokenKey(ref)}, {Kind: poolkeeper.OpDelete, Key: poolkeeper.DocumentKey(name)},
			{Kind: poolkeeper.OpPatch, Key: poolkeeper.TokenKey(ref), Patch: poolkeeper.MergePatch, Data: []byte(`{}`)},
		} {
			if res := s.Apply(t.Context(), op)[0]; !errors.Is(res.Err, poolkeeper.ErrNotFound) {
				t.Fatalf("%s of %s: %+v", op.Kind, op.Subject(), res)
			}
		}
	}
	if lanes, pools := s.listed(); lanes != 0 || pools != 0 {
		t.Errorf("%d lanes and %d pools are remembered of what is not there", lanes, pools)
	}
	for want := int64(1); want < 4; want++ {
		if res := s.Apply(t.Context(), useOf("t0", "a"))[0]; res.Err != nil || res.Count != want || res.Revision.Seq != uint64(want) {
			t.Errorf("%+v, want a count and sequence of %d", res, want)
		}
		if res := s.Apply(t.Context(), useOf("t0", "x"))[0]; !errors.Is(res.Err, poolkeeper.ErrNotFound) {
			t.Errorf("%+v", res)
		}
	}
	if lanes, pools := s.listed(); lanes != 1 || pools != 1 {
		t.Errorf("%d lanes and %d pools are remembered, want the one that was written to", lanes, pools)
	}
}

// A lane is retired where it has nothing to remember and nobody is in it, and
// then a call that still comes to it goes to the next one of the key.
func TestRetire(t *testing.T) {
	s := laneStore(t, 1)
	fresh := func() *lane {
		s.lanes.Clear()
		s.pools.Clear()
		l := s.poolLane("t0")
		if !l.claim() {
			t.Fatal("the front is held")
		}
		return l
	}
	for name, change := range map[string]func(*lane){
		"a sequence":               func(l *lane) { l.senders[0].seq = 1 },
		"a sequence of the second": func(l *lane) { l.senders[1].seq = 1 },
		"a batch sent twice":       func(l *lane) { l.senders[1].resent = true },
		"a writer of its own":      func(l *lane) { l.senders[0].writer = newWriter() },
		"a batch in flight":        func(l *lane) { l.flying.Add(1) },
		"somebody in the queue":    func(l *lane) { l.queue = append(l.queue, &call{}) },
		"somebody who came":        func(l *lane) { c := &call{}; l.push(c, c) },
	} {
		l := fresh()
		change(l)
		if l.retire() || l.isRetired() || s.lane(l.key) != l {
			t.Errorf("%s: the lane is retired", name)
		}
	}
	l := fresh()
	if !l.retire() || !l.isRetired() {
		t.Fatal("the lane is not retired")
	}
	if l.claim() {
		t.Error("the front of a retired lane is free")
	}
	if lanes, pools := s.listed(); lanes != 0 || pools != 0 {
		t.Errorf("%d lanes and %d pools are listed", lanes, pools)
	}
	s.lanes.Store(l.key, l) // as whoever retired it had not come to that yet
	s.pools.Store("t0", l)
	op := useOf("t0", "a")
	c := newCall(usageBatch, &op, 0)
	c.id = op.ID
	if res := l.submit(t.Context(), c).result; res.Err != nil || res.Count != 1 {
		t.Errorf("a call to a retired lane: %+v", res)
	}
	if next := s.poolLane("t0"); next == l || next.senders[0].seq != 1 {
		t.Error("the call did not go to the next lane")
	}
}

// Calls that come while a lane is retired are neither lost nor counted twice,
// and no sequence is used by two lanes of a key.
func TestRetireBesideCalls(t *testing.T) {
	const types, callers, each = 200, 8, 3
	s := laneStore(t, types)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for i := range types {
		typ := fmt.Sprint("t", i)
		var wg sync.WaitGroup
		for n := range callers {
			wg.Go(func() {
				for range each {
					// Refused ones make the lane empty at each moment.
					for range 1 + n%3 {
						if res := s.Apply(ctx, useOf(typ, "x"))[0]; !errors.Is(res.Err, poolkeeper.ErrNotFound) {
							t.Errorf("%s x: %+v", typ, res)
						}
					}
				}
				if res := s.Apply(ctx, useOf(typ, "a"))[0]; res.Err != nil {
					t.Errorf("%s a: %+v", typ, res)
				}
			})
		}
		wg.Wait()
	}
	for i := range types {
		typ := fmt.Sprint("t", i)
		if res := s.Apply(ctx, useOf(typ, "a"))[0]; res.Err != nil || res.Count != callers+1 {
			t.Errorf("%s: %+v, want %d", typ, res, callers+1)
		}
	}
	if lanes, pools := s.listed(); lanes != types || pools != types {
		t.Errorf("%d lanes and %d pools, want %d", lanes, pools, types)
	}
}
