package redisstore_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// Ops under way when a store is closed are answered; late ones are refused.
func TestClose(t *testing.T) {
	r := newRig(t)
	proxy, b := r.proxied()
	r.must(b, useOp("b", 1))
	proxy.Delay(100 * time.Millisecond)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { r.must(b, useOp("b", 1)) })
	}
	time.Sleep(30 * time.Millisecond)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if got := r.usageOf("b"); got != "4" {
		t.Errorf("usageCount %s, want 4", got)
	}
	r.closed(b)
	if err := b.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if got := r.usageOf("b"); got != "4" {
		t.Errorf("usageCount %s after late ops, want 4", got)
	}
}

func (r *rig) closed(b *redisstore.Store) {
	r.Helper()
	r.unchanged("a closed store", func() {
		for _, op := range writes() {
			r.refused(b, op, poolkeeper.ErrClosed)
		}
		if _, err := b.Load(r.Context()); !errors.Is(err, poolkeeper.ErrClosed) {
			r.Errorf("Load: %v, want ErrClosed", err)
		}
		if err := b.Restore(r.Context(), rigSnapshot()); !errors.Is(err, poolkeeper.ErrClosed) {
			r.Errorf("Restore: %v, want ErrClosed", err)
		}
		if info, err := b.Info(r.Context()); !errors.Is(err, poolkeeper.ErrClosed) || info.Ready {
			r.Errorf("Info: %+v, %v; want ErrClosed", info, err)
		}
	})
}

// With Redis silent, Close ends all the same, and everybody gets an answer.
func TestCloseWithoutAnAnswer(t *testing.T) {
	r := newRig(t)
	proxy, b := r.proxied(func(o *redisstore.Options) { o.CommandTimeout, o.RetryFor = 300*time.Millisecond, 2*time.Second })
	r.must(b, useOp("b", 1))
	proxy.Blackhole(true)
	var wg sync.WaitGroup
	wg.Go(func() { r.refused(b, useOp("b", 1), poolkeeper.ErrIndeterminate) })
	eventually(t, "it is sent", func() bool { return proxy.Counts()[redistest.FaultBlackhole] > 0 })
	for range 2 {
		wg.Go(func() {
			if res := r.try(b, useOp("b", 100)); !errors.Is(res.Err, poolkeeper.ErrUnavailable) && !errors.Is(res.Err, poolkeeper.ErrClosed) {
				t.Errorf("error %v, want ErrUnavailable or ErrClosed", res.Err)
			}
		})
	}
	began := time.Now()
	b.Close()
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("Close took %v", d)
	}
	wg.Wait()
	if got := r.usageOf("b"); got != "1" {
		t.Errorf("usageCount %s, want 1", got)
	}
	r.closed(b)
}

// A closed store takes its last sequences away where no copy of a batch can
// come late, and leaves them where one can.
func TestCloseForgets(t *testing.T) {
	r := newRig(t)
	tap := startTap(t, r.srv.Socket())
	b := r.open(tap.url())
	info, err := b.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.must(b, useOp("b", 1))
	r.must(b, putOp(poolkeeper.PasswordKey, "p"))
	tap.arm("CutAfterRequest", 1, info.Writer)
	r.must(b, useOp("b", 1))
	b.Close()
	if f := r.srv.DoString("HGET", "t:ctl:{t:pwd}", "w:"+info.Writer); f != "" {
		t.Errorf("the sequence of a closed writer is kept: %q", f)
	}
	if f := r.srv.DoString("HGET", "t:ctl:{"+rigPool+"}", "w:"+info.Writer); f == "" {
		t.Error("the sequence of a batch that was sent twice is forgotten")
	}
	before := r.usageOf("b")
	tap.replay(t, r.srv.Socket())
	if got := r.usageOf("b"); got != before {
		t.Errorf("a late batch was counted: %s, before %s", got, before)
	}
}
