package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// scriptKinds are ops that together run every script which a lane sends. Done
// twice, each gives another answer than done once.
var scriptKinds = []struct {
	name string
	key  string // whose revision moves
	op   poolkeeper.Op
}{
	{"usage", rigPool, useOp("a", 3)},
	{"decide", rigPool, errorOp("b")},
	{"provider add", rigPool, defineOp(poolkeeper.OpAddProvider, "d", `,"usageCount":3`)},
	{"provider patch", rigPool, func() poolkeeper.Op {
		op := poolOp(poolkeeper.OpPatchProvider, "c")
		op.Patch, op.Data, op.If = poolkeeper.JSONPatch, []byte(`[{"op":"add","path":"/x/-","value":1}]`), poolkeeper.IfPresent
		return op
	}()},
	{"provider rename", rigPool, poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "b", NewID: "bb"}},
	{"provider delete", rigPool, poolOp(poolkeeper.OpDeleteProvider, "b")},
	{"swap replace", rigPool, replaceOp("a", "z")},
	{"swap reorder", rigPool, poolkeeper.Op{Kind: poolkeeper.OpReorderPool, Key: kiro, Order: []string{"c", "b", "a"}}},
	{"swap delete", rigPool, poolkeeper.Op{Kind: poolkeeper.OpDeletePool, Key: kiro}},
	{"value put", "t:pwd", func() poolkeeper.Op { op := putOp(poolkeeper.PasswordKey, "p"); op.If = poolkeeper.IfAbsent; return op }()},
	{"value patch", "t:config", func() poolkeeper.Op {
		op := patchOp(poolkeeper.ConfigKey, `[{"op":"add","path":"/b","value":1},{"op":"remove","path":"/a"}]`)
		op.Patch = poolkeeper.JSONPatch
		return op
	}()},
	{"value delete", "t:config", deleteOp(poolkeeper.ConfigKey)},
	{"file", "t:files", putOp(poolkeeper.FileKey("configs/f"), "x")},
	{"types", "t:pool-order", poolkeeper.Op{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, Order: []string{"other", "kiro"}}},
}

// twoTypes adds a second pool, so that the types have an order, and counts on a,
// so that an increment needs one request only.
func (r *rig) twoTypes(b *redisstore.Store) {
	r.Helper()
	r.must(b, useOp("a", 1))
	r.must(b, poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: poolkeeper.PoolKey("other"), ID: "o", Data: []byte(`{"uuid":"o"}`)})
}

// A batch whose reply was lost, or that was cut off on its way, is sent again
// and applied once, and its caller hears what came of it the first time.
func TestSentAgainAppliedOnce(t *testing.T) {
	srv := redistest.Start(t)
	for _, fault := range []string{redistest.FaultCutAfter, redistest.FaultCutMid, redistest.FaultCutBefore} {
		for _, k := range scriptKinds {
			t.Run(fault+"/"+k.name, func(t *testing.T) {
				// First on a store without faults, which loads the scripts too: a lost
				// NOSCRIPT would show nothing.
				srv.FlushAll()
				twin := rigOn(t, srv)
				twin.twoTypes(twin.b)
				once := twin.must(twin.b, k.op)
				want, err := twin.b.Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				srv.FlushAll()
				r := rigOn(t, srv)
				r.twoTypes(r.b)
				tap := startTap(t, srv.Socket())
				b := r.open(tap.url())
				info, err := b.Info(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				was := r.revisionOf(k.key)
				tap.arm(fault, 3, info.Writer)
				res := r.must(b, k.op)
				if n := tap.counted(); n != 3 {
					t.Fatalf("the fault occurred %d times, want 3", n)
				}
				if !res.Changed && k.op.Kind != poolkeeper.OpUsage {
					t.Errorf("the result says that nothing changed: %+v", res)
				}
				if k.key == rigPool || k.key == "t:config" || k.key == "t:pwd" || k.key == "t:files" {
					if now := r.revisionOf(k.key); number(now) != number(was)+1 {
						t.Errorf("the revision went from %q to %q", was, now)
					}
				}
				got, err := r.b.Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if d := storetest.Diff(want, got); d != "" {
					t.Errorf("it was not applied once:\n%s", d)
				}
				if res.Count != once.Count || res.ID != once.ID || res.Healthy != once.Healthy {
					t.Errorf("the answer is %+v, that of an op sent once %+v", res, once)
				}
			})
		}
	}
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// Many times in a row, each script of the lane once per op.
func TestManyRepliesLost(t *testing.T) {
	r := newRig(t)
	proxy, b := r.proxied()
	proxy.SetFaults(redistest.Faults{Seed: 7, CutAfter: 0.2, CutBefore: 0.1, CutMid: 0.1, Only: []string{"EVALSHA", "EVAL"}})
	const n = 60
	for i := range n {
		if res := r.must(b, useOp("b", 1)); res.Count != int64(i+1) {
			t.Fatalf("increment %d answers %d", i+1, res.Count)
		}
		if res := r.must(b, errorOp("c")); res.Count != int64(i+1) {
			t.Fatalf("error %d answers %d", i+1, res.Count)
		}
	}
	if got := r.usageOf("b"); got != fmt.Sprint(n) {
		t.Errorf("usageCount %s, want %d", got, n)
	}
	for _, f := range []string{redistest.FaultCutAfter, redistest.FaultCutBefore, redistest.FaultCutMid} {
		if proxy.Counts()[f] == 0 {
			t.Errorf("the fault %s did not occur", f)
		}
	}
}

// An op that was sent, and stays without an answer for longer than it is
// tried, is indeterminate; what queued behind it was not applied. Once Redis
// answers again, the outcome is found out, and it was applied once.
func TestIndeterminate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		begin   func(*redistest.Proxy)
		applied bool // while there was no answer
	}{
		{"executed, replies lost", func(p *redistest.Proxy) { p.CutAfterRequest(-1, "EVALSHA", "EVAL") }, true},
		{"never arrived", func(p *redistest.Proxy) { p.Blackhole(true) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			proxy, b := r.proxied(impatient)
			r.must(b, useOp("b", 1)) // loads the script
			c.begin(proxy)
			var wg sync.WaitGroup
			wg.Go(func() { r.refused(b, useOp("b", 10), poolkeeper.ErrIndeterminate) })
			time.Sleep(50 * time.Millisecond)
			for range 3 {
				wg.Go(func() { r.refused(b, useOp("b", 100), poolkeeper.ErrUnavailable) })
			}
			wg.Go(func() { r.refused(b, errorOp("b"), poolkeeper.ErrUnavailable) })
			wg.Wait()
			r.refused(b, useOp("b", 100), poolkeeper.ErrUnavailable) // and still
			if want := map[bool]string{true: "11", false: "1"}[c.applied]; r.usageOf("b") != want {
				t.Errorf("usageCount is %s while there is no answer, want %s", r.usageOf("b"), want)
			}
			proxy.Clear()
			var res poolkeeper.Result
			for range 100 {
				if res = r.try(b, useOp("b", 1000)); res.Err == nil {
					break
				}
			}
			if res.Err != nil || res.Count != 1011 || r.usageOf("b") != "1011" {
				t.Errorf("after it: %+v, usageCount %s; want 1011", res, r.usageOf("b"))
			}
			if e := r.srv.DoString("HGET", "t:state:{"+rigPool+"}", "b:errorCount"); e != "" {
				t.Errorf("an op that was refused was applied: errorCount %s", e)
			}
		})
	}
}

// With Redis gone before anything was sent, nothing was applied.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.WithAOF("always"))
	b := r.open(r.srv.SocketURL(), impatient)
	r.srv.Kill()
	for range 5 { // notices that its connections are gone
		if _, err := b.Load(t.Context(), kiro); !errors.Is(err, poolkeeper.ErrUnavailable) {
			t.Errorf("Load: %v, want ErrUnavailable", err)
		}
	}
	for _, op := range []poolkeeper.Op{useOp("b", 1), errorOp("c"), defineOp(poolkeeper.OpAddProvider, "d", ""), replaceOp("x"),
		putOp(poolkeeper.PasswordKey, "p"), putOp(poolkeeper.FileKey("f"), "p"), deleteOp(poolkeeper.ConfigKey),
		{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, Order: []string{"kiro"}}} {
		began := time.Now()
		r.refused(b, op, poolkeeper.ErrUnavailable)
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("%s was tried for %v", op.Kind, d)
		}
	}
	r.unchangedAfter(func() { r.srv.Restart() })
	r.must(b, useOp("b", 5))
	if got := r.usageOf("b"); got != "5" {
		t.Errorf("usageCount %s, want 5", got)
	}
}

// unchangedAfter fails where what the rig began with is not all there is.
func (r *rig) unchangedAfter(restart func()) {
	r.Helper()
	restart()
	snap, err := r.b.Load(r.Context())
	for i := 0; err != nil && i < 100; i++ {
		snap, err = r.b.Load(r.Context())
	}
	if err != nil {
		r.Fatal(err)
	}
	if d := storetest.Diff(rigSnapshot(), snap); d != "" {
		r.Errorf("something was applied:\n%s", d)
	}
}

func TestContextEndsBeforeSending(t *testing.T) {
	r := newRig(t)
	proxy, b := r.proxied()
	r.must(b, useOp("b", 1))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if res := b.Apply(gone, useOp("b", 10))[0]; !errors.Is(res.Err, context.Canceled) {
		t.Errorf("error %v, want that of the context", res.Err)
	}
	proxy.Delay(300 * time.Millisecond)
	var wg sync.WaitGroup
	wg.Go(func() { r.must(b, useOp("b", 1)) })
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wg.Go(func() { r.must(b, useOp("b", 1)) }) // of the same batch, and goes on
	res := b.Apply(ctx, useOp("b", 10))[0]
	if !errors.Is(res.Err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of the context", res.Err)
	}
	for _, class := range []error{poolkeeper.ErrIndeterminate, poolkeeper.ErrUnavailable} {
		if errors.Is(res.Err, class) {
			t.Errorf("error %v is more than that of the context", res.Err)
		}
	}
	wg.Wait()
	proxy.Delay(0)
	if res := r.must(b, useOp("b", 1)); res.Count != 4 {
		t.Errorf("usageCount %d, want 4: an op whose context had ended was sent", res.Count)
	}
}

func TestContextEndsAfterSending(t *testing.T) {
	r := newRig(t)
	proxy, b := r.proxied()
	r.must(b, useOp("b", 1))
	proxy.Delay(300 * time.Millisecond)
	var wg sync.WaitGroup
	wg.Go(func() { r.must(b, useOp("b", 1)) }) // in flight, so that the next is sent by the lane
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	began := time.Now()
	if res := b.Apply(ctx, useOp("b", 10))[0]; !errors.Is(res.Err, poolkeeper.ErrIndeterminate) {
		t.Errorf("error %v after %v, want ErrIndeterminate", res.Err, time.Since(began))
	}
	wg.Wait()
	proxy.Delay(0)
	if res := r.must(b, useOp("b", 1)); res.Count != 13 {
		t.Errorf("usageCount %d, want 13", res.Count)
	}
}

// The ops of one caller take effect in the order in which they were given.
func TestOrderOfOneCaller(t *testing.T) {
	r := newRig(t)
	proxy, b := r.proxied()
	proxy.SetFaults(redistest.Faults{Seed: 3, CutAfter: 0.1, CutBefore: 0.1, Only: []string{"EVALSHA", "EVAL"}})
	reset := poolOp(poolkeeper.OpReset, "b")
	reset.Usage = true
	var ops []poolkeeper.Op
	for i := range 40 {
		ops = append(ops, useOp("b", int64(i+1)), putOp(poolkeeper.PasswordKey, strconv.Itoa(i)), reset, useOp("b", 1), useOp("b", 1))
	}
	for i, res := range b.Apply(t.Context(), ops...) {
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		want := map[int]int64{1: 0, 2: 0, 3: 1, 4: 2}[i%5]
		if i%5 == 0 {
			want = int64(i/5 + 1)
			if i > 0 {
				want += 2
			}
		}
		if res.Count != want {
			t.Fatalf("op %d answers %d, want %d", i, res.Count, want)
		}
	}
	if got := r.srv.DoString("GET", "t:pwd"); got != "39" {
		t.Errorf("the last value is %s", got)
	}
}

func calls(srv *redistest.Server, command string) int {
	stats := srv.Info("commandstats")["cmdstat_"+command]
	_, n, _ := strings.Cut(stats, "calls=")
	n, _, _ = strings.Cut(n, ",")
	return number(n)
}

// Ops that come while one is in flight travel together.
func TestGroupCommit(t *testing.T) {
	r := newRig(t)
	r.must(r.b, useOp("b", 1))
	r.srv.DoString("CONFIG", "RESETSTAT")
	const callers, each = 100, 20
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				r.must(r.b, useOp("b", 1))
			}
		})
	}
	wg.Wait()
	if got := r.usageOf("b"); got != fmt.Sprint(callers*each+1) {
		t.Errorf("usageCount %s, want %d", got, callers*each+1)
	}
	if n := calls(r.srv, "evalsha"); n == 0 || n > callers*each/4 {
		t.Errorf("%d ops took %d scripts", callers*each, n)
	}
}
