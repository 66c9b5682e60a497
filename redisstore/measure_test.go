package redisstore_test

import (
	"context"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestMeasure: what a store tells of itself is what it did: its batches, those
// that were sent again, its connections, what it keeps.
func TestMeasure(t *testing.T) {
	r := newRig(t)
	proxy := redistest.StartProxy(t, r.srv.Addr())
	b := r.open(proxy.URL())
	before := b.Measure(t.Context())
	if before.Connections < 1 || before.Resent != 0 || before.Batches.Ops != 0 {
		t.Errorf("at first: %+v", before)
	}
	const callers = 200
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() { r.must(b, useOp("a", 1)) })
	}
	wg.Wait()
	m := b.Measure(t.Context())
	if m.Batches.Ops != callers || sum(m.Batches.Counts) < 1 || sum(m.Batches.Counts) > callers {
		t.Errorf("%d increments: %+v", callers, m.Batches)
	}
	one := m.Batches.Counts[0]
	r.must(b, useOp("a", 1))
	if m = b.Measure(t.Context()); m.Batches.Counts[0] != one+1 {
		t.Errorf("a batch of one: %+v", m.Batches)
	}
	if m.LanesWaiting != 0 || m.Resent != 0 {
		t.Errorf("at rest: %+v", m)
	}
	proxy.CutAfterRequest(1)
	r.must(b, useOp("a", 1))
	if m = b.Measure(t.Context()); m.Resent != 1 {
		t.Errorf("a lost reply: %+v", m)
	}
	if m.Size == nil || m.Size.Pools != 1 || m.Size.Providers != 3 || m.Size.UsedBytes < 100_000 || m.Size.MaxBytes != 0 {
		t.Errorf("size: %+v", m.Size)
	}
	r.srv.Do("CONFIG", "SET", "maxmemory", "100mb")
	if m = b.Measure(t.Context()); m.Size == nil || m.Size.MaxBytes != 100<<20 {
		t.Errorf("size with a limit: %+v", m.Size)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if m = b.Measure(t.Context()); m.Connections != 0 || m.Size != nil {
		t.Errorf("closed: %+v", m)
	}
}

// TestMeasureWaiting: a key whose ops wait behind a batch without an answer is
// one that waits, and no longer when it has come.
func TestMeasureWaiting(t *testing.T) {
	r := newRig(t)
	proxy := redistest.StartProxy(t, r.srv.Addr())
	b := r.open(proxy.URL())
	r.must(b, useOp("a", 1))
	proxy.Blackhole(true)
	answered := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { b.Apply(t.Context(), useOp("a", 1)) })
	}
	go func() {
		wg.Wait()
		close(answered)
	}()
	for seen := false; !seen; {
		select {
		case <-answered:
			t.Fatal("nobody was seen to wait")
		default:
			seen = b.Measure(cancelled(t)).LanesWaiting == 1
		}
	}
	proxy.Blackhole(false)
	<-answered
	if m := b.Measure(t.Context()); m.LanesWaiting != 0 {
		t.Errorf("at rest: %+v", m)
	}
}

func sum(counts [len(poolkeeper.BatchBounds) + 1]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// cancelled is a context that has ended: nothing is asked of Redis under it.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
