package redisstore_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// A pool is replaced beside edits that never stop, and nothing is lost of what
// is counted meanwhile, nor of the runtime state that a new definition would
// hide.
func TestReplaceBesideSteadyEdits(t *testing.T) {
	r := newRig(t)
	editor := r.open(r.srv.SocketURL(), func(o *redisstore.Options) { o.RetryFor = 20 * time.Second })
	stop := make(chan struct{})
	var edits, uses atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				op := poolkeeper.Op{Kind: poolkeeper.OpPatchProvider, Key: kiro, ID: "b", At: rigAt, Patch: poolkeeper.MergePatch,
					Data: fmt.Appendf(nil, `{"edit%d":%d}`, i, n)}
				if res := editor.Apply(t.Context(), op)[0]; res.Err != nil {
					t.Errorf("edit: %v", res.Err)
					return
				}
				edits.Add(1)
			}
		})
	}
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if res := editor.Apply(t.Context(), useOp("a", 1))[0]; res.Err != nil {
				t.Errorf("use: %v", res.Err)
				return
			}
			uses.Add(1)
		}
	})
	for n := range 20 {
		op := replaceOp("a", "b", "c")
		for i := range op.Providers {
			p := &op.Providers[i]
			p.Definition = fmt.Appendf(nil, `{"uuid":%q,"usageCount":%d,"errorCount":%d}`, p.ID, 1000+n, 2000+n)
		}
		before := edits.Load()
		if res := r.b.Apply(t.Context(), op)[0]; res.Err != nil || !res.Changed {
			t.Errorf("replacement %d: %+v", n, res)
		}
		for edits.Load() == before && !t.Failed() { // they go on behind it
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	wg.Wait()
	snap, err := r.b.Load(t.Context(), kiro)
	if err != nil {
		t.Fatal(err)
	}
	p := snap.Pools["kiro"]
	for i := range p.Providers {
		got := &p.Providers[i]
		want := map[string]int64{"a": 5 + uses.Load()}[got.ID]
		if n := got.Count(poolkeeper.UsageCount); n != want || got.Count(poolkeeper.ErrorCount) != 0 {
			t.Errorf("%s counts %d and %d errors, want %d and none", got.ID, n, got.Count(poolkeeper.ErrorCount), want)
		}
	}
	if h := r.srv.DoString("HGET", "t:ctl:{"+rigPool+"}", "hold"); h != "" {
		t.Errorf("the others are still asked to wait: %q", h)
	}
	t.Logf("%d edits and %d uses beside 20 replacements", edits.Load(), uses.Load())
}

// Whoever has asked the others to wait is waited for, by edits and by other
// changes of the whole pool, but not by traffic; and not for ever.
func TestEditsWait(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(r.b, useOp("a", 1))
	ctl := "t:ctl:{" + rigPool + "}"
	ask := func(d time.Duration) {
		r.srv.DoInt("HSET", ctl, "hold", "somebody "+strconv.FormatInt(time.Now().Add(d).UnixMilli(), 10))
	}
	edits := map[string]poolkeeper.Op{
		"edit": defineOp(poolkeeper.OpPutProvider, "b", `,"n":1`), "add": defineOp(poolkeeper.OpAddProvider, "new", ""),
		"replace": replaceOp("a", "b"), "delete": {Kind: poolkeeper.OpDeletePool, Key: kiro, At: rigAt},
		"reorder": {Kind: poolkeeper.OpReorderPool, Key: kiro, At: rigAt, Order: []string{"c", "b", "a"}},
	}
	before := fmt.Sprint(r.srv.HGetAll(rigPool))
	ask(time.Hour)
	soon := r.open(r.srv.SocketURL(), impatient)
	for name, op := range edits {
		ask(time.Hour)
		if res := soon.Apply(t.Context(), op)[0]; poolkeeper.ClassOf(res.Err).Err != poolkeeper.ErrConflict {
			t.Errorf("%s: %+v", name, res)
		}
	}
	if now := fmt.Sprint(r.srv.HGetAll(rigPool)); now != before {
		t.Errorf("the pool is %s, and was %s", now, before)
	}
	r.must(r.b, useOp("a", 1))
	r.must(r.b, errorOp("a"))

	ask(-time.Second) // it is long gone
	r.must(r.b, edits["edit"])
	ask(time.Hour)
	done := make(chan poolkeeper.Result)
	go func() { done <- r.b.Apply(t.Context(), edits["add"])[0] }()
	r.srv.DoInt("HDEL", ctl, "hold")
	if res := <-done; res.Err != nil {
		t.Errorf("behind one who let go: %v", res.Err)
	}
}

// An edit is tried between each reading of a pool and its replacement: the first
// ones come through, and then they wait.
func TestReplaceBehindEdits(t *testing.T) {
	r := newRig(t)
	tap := startTap(t, r.srv.Socket())
	b := r.open(tap.url(), patient)
	soon := r.open(r.srv.SocketURL(), impatient)
	done := make(chan poolkeeper.Result, 1)
	go func() { done <- b.Apply(t.Context(), replaceOp("a", "b"))[0] }()
	edits := 0
	for n := 0; ; n++ {
		h := tap.hold("\r\nreplace\r\n")
		select {
		case <-h.came:
			res := soon.Apply(t.Context(), defineOp(poolkeeper.OpPutProvider, "c", fmt.Sprintf(`,"n":%d`, n)))[0]
			h.letGo()
			switch {
			case res.Err == nil:
				edits++
			case poolkeeper.ClassOf(res.Err).Err != poolkeeper.ErrConflict:
				t.Fatal(res.Err)
			}
			if edits > 20 {
				t.Fatalf("the pool is not replaced behind %d edits", edits)
			}
			continue
		case res := <-done:
			if res.Err != nil || !res.Changed || edits < 3 {
				t.Errorf("%+v after %d edits", res, edits)
			}
		}
		break
	}
	r.wantPool("after the edits", "a", "b")
}
