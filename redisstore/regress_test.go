package redisstore_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// patient makes a store wait for a request that a test holds up.
func patient(o *redisstore.Options) { o.CommandTimeout, o.RetryFor = 20*time.Second, 20*time.Second }

// holdNext lets the request go that waits, and holds the next one with a text.
func (p *tap) holdNext(t *testing.T, text string) {
	t.Helper()
	free := p.free
	p.hold(text)
	close(free)
	p.waitHeld(t)
}

// wantPool compares the definitions and the order of the pool kiro with ids.
func (r *rig) wantPool(when string, ids ...string) {
	r.Helper()
	have := slices.Sorted(maps.Keys(r.srv.HGetAll(rigPool)))
	order := r.srv.DoStrings("ZRANGE", "t:order:{"+rigPool+"}", "0", "-1")
	if !slices.Equal(order, ids) || !slices.Equal(have, slices.Sorted(slices.Values(ids))) {
		r.Errorf("%s: the pool has %q in the order %q, want %q", when, have, order, ids)
	}
}

// wantListed makes sure that the pool kiro is listed and has a provider.
func (r *rig) wantListed(id string) {
	r.Helper()
	snap, err := r.b.Load(r.Context(), poolkeeper.PoolsKey)
	if err != nil {
		r.Fatal(err)
	}
	p := snap.Pools["kiro"]
	if !slices.Contains(snap.Types, "kiro") || p == nil || p.Provider(id) == nil {
		r.Errorf("types %q, pool %+v: want kiro with %s", snap.Types, p, id)
	}
	if n := r.srv.DoInt("SISMEMBER", "t:pool-types", "kiro"); n != 1 {
		r.Error("the set of types does not have kiro")
	}
}

// A stage of which Redis has dropped a part is not taken: the pool stays until
// it was staged anew.
func TestStageHalfGone(t *testing.T) {
	const swap = "$7\r\nreplace\r\n"
	for _, part := range []string{":pool", ":order"} {
		t.Run(part[1:], func(t *testing.T) {
			r := newRig(t)
			tap := startTap(t, r.srv.Socket())
			b := r.open(tap.url(), patient)
			r.must(b, replaceOp("b", "a", "c"))
			tap.hold(swap)
			var wg sync.WaitGroup
			var res poolkeeper.Result
			wg.Go(func() { res = r.try(b, replaceOp("y", "x")) })
			tap.waitHeld(t)
			dropped := 0
			for _, k := range r.srv.Keys("t:stage:*") {
				if strings.HasSuffix(k, part) {
					dropped += int(r.srv.DoInt("DEL", k))
				}
			}
			if dropped != 1 {
				t.Errorf("%d keys were dropped, want 1", dropped)
			}
			tap.holdNext(t, swap)
			r.wantPool("after the first try", "b", "a", "c")
			tap.letGo()
			wg.Wait()
			if res.Err != nil || !res.Changed {
				t.Errorf("result %+v", res)
			}
			r.wantPool("in the end", "y", "x")
		})
	}
}

// A pool that is deleted while somebody fills it is never filled and unlisted.
func TestPoolIsListedWhileDeleted(t *testing.T) {
	deletePool := poolkeeper.Op{Kind: poolkeeper.OpDeletePool, Key: kiro}
	add := defineOp(poolkeeper.OpAddProvider, "x", "")
	t.Run("filled before its type is removed", func(t *testing.T) {
		r := newRig(t)
		tap := startTap(t, r.srv.Socket())
		b := r.open(tap.url(), patient)
		tap.hold("SREM")
		var wg sync.WaitGroup
		wg.Go(func() { r.must(b, deletePool) })
		tap.waitHeld(t)
		r.must(r.b, add)
		tap.letGo()
		wg.Wait()
		r.wantListed("x")
	})
	t.Run("deleted before the provider is added", func(t *testing.T) {
		r := newRig(t)
		tap := startTap(t, r.srv.Socket())
		b := r.open(tap.url(), patient)
		info, err := b.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tap.hold(info.Writer)
		var wg sync.WaitGroup
		wg.Go(func() { r.must(b, add) })
		tap.waitHeld(t)
		r.must(r.b, deletePool)
		tap.letGo()
		wg.Wait()
		r.wantListed("x")
	})
	t.Run("its type is removed before it is replaced", func(t *testing.T) {
		r := newRig(t)
		del, fill := startTap(t, r.srv.Socket()), startTap(t, r.srv.Socket())
		deleter, filler := r.open(del.url(), patient), r.open(fill.url(), patient)
		del.hold("SREM")
		fill.hold("$7\r\nreplace\r\n")
		var deleted, filled sync.WaitGroup
		deleted.Go(func() { r.must(deleter, deletePool) })
		del.waitHeld(t)
		filled.Go(func() { r.must(filler, replaceOp("x")) })
		fill.waitHeld(t)
		del.letGo()
		deleted.Wait()
		fill.letGo()
		filled.Wait()
		r.wantListed("x")
	})
}

// A count that is no number, whatever its size, is 0, and holds nobody up.
func TestUsageOnLongLiteral(t *testing.T) {
	r := newRig(t)
	r.must(r.b, defineOp(poolkeeper.OpAddProvider, "q", `,"usageCount":"a`+strings.Repeat(" ", 16_000)+`a"`))
	r.must(r.b, defineOp(poolkeeper.OpPutProvider, "q", "")) // the state carries it now
	if len(r.usageOf("q")) < 16_000 {
		t.Fatalf("the state does not carry the literal: %q", r.usageOf("q"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if res := r.b.Apply(ctx, useOp("q", 1))[0]; res.Err != nil || res.Count != 1 {
		t.Errorf("count %d, %v; want 1", res.Count, res.Err)
	}
}

// What Redis forgets by itself is no loss.
func TestForgottenIsNotLost(t *testing.T) {
	t.Run("tombstone", func(t *testing.T) {
		r := newRig(t)
		var days time.Duration
		b := r.open(r.srv.SocketURL(), func(o *redisstore.Options) {
			o.Now = func() time.Time { return time.Now().Add(days * 24 * time.Hour) }
		})
		doc := poolkeeper.DocumentKey("d")
		r.must(b, putOp(doc, `{}`))
		r.must(b, deleteOp(doc))
		if r.srv.DoInt("DEL", "t:ctl:{t:doc:d}") != 1 {
			t.Fatal("there is no tombstone")
		}
		days = 11 // more than a lane may rest
		if res := r.must(b, putOp(doc, `{"a":1}`)); !res.Changed {
			t.Errorf("result %+v", res)
		}
		if got := r.srv.DoString("GET", "t:doc:d"); got != `{"a":1}` {
			t.Errorf("document %s", got)
		}
		r.must(b, putOp(doc, `{"a":2}`)) // and the lane goes on
	})
	t.Run("session that had ended", func(t *testing.T) {
		r := newRig(t)
		op := putOp(poolkeeper.SessionKey(poolkeeper.SessionName("b")), `{}`)
		op.ExpiresAt = 1
		r.must(r.b, op)
		op.ExpiresAt = time.Now().Add(time.Hour).UnixMilli()
		r.must(r.b, op)
		snap, err := r.b.Load(t.Context(), op.Key)
		if err != nil || string(snap.Values[op.Key].Data) != `{}` {
			t.Errorf("session %+v, %v", snap.Values[op.Key], err)
		}
	})
}

// A restore whose lock has ended, and that wakes up, writes nothing more.
func TestStaleRestoreStops(t *testing.T) {
	srv := redistest.Start(t)
	r := &rig{T: t, srv: srv}
	tap := startTap(t, srv.Socket())
	stale, young := r.open(tap.url(), patient), r.open(srv.SocketURL())
	const look = "$3\r\nGET\r\n$15\r\nt:lock:{t:meta}\r\n" // ahead of each round trip that writes
	tap.hold(look)
	var wg sync.WaitGroup
	var err error
	wg.Go(func() { err = stale.Restore(t.Context(), plentiful("stale")) })
	tap.waitHeld(t)       // ahead of the cleaning
	tap.holdNext(t, look) // of the first values
	tap.holdNext(t, look) // of the next ones
	if len(srv.Keys("t:tokens:*")) == 0 {
		t.Error("nothing is written yet")
	}
	srv.DoInt("DEL", "t:lock:{t:meta}") // its time is up
	want := rigSnapshot()
	if err := young.Restore(t.Context(), want); err != nil {
		t.Error(err)
	}
	before := srv.Dump()
	tap.letGo()
	wg.Wait()
	if !errors.Is(err, poolkeeper.ErrConflict) || poolkeeper.HintOf(err) == "" {
		t.Errorf("error %v, want ErrConflict with a hint", err)
	}
	if redistest.Hash(before) != redistest.Hash(srv.Dump()) {
		t.Error("it changed what the other had restored")
	}
	snap, err := young.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := storetest.Diff(want, snap); d != "" {
		t.Errorf("the store is not the other's:\n%s", d)
	}
}

// A restore that is run again removes what it left, and nothing of a store
// whose prefix begins with its own.
func TestRestoreSparesNeighbour(t *testing.T) {
	srv := redistest.Start(t)
	outer := &rig{T: t, srv: srv}
	proxy, b := outer.proxied(impatient)
	proxy.CutBeforeRequest(1, "SADD") // comes after the values
	if err := b.Restore(t.Context(), plentiful("first")); err == nil {
		t.Fatal("the restore came through")
	}
	inner := outer.open(srv.SocketURL(), func(o *redisstore.Options) { o.Prefix = rigPrefix + "staging:" })
	want := rigSnapshot()
	if err := inner.Restore(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	srv.DoInt("DEL", "t:lock:{t:meta}") // of the run that was cut off
	if err := outer.open(srv.SocketURL()).Restore(t.Context(), rigSnapshot()); !errors.Is(err, poolkeeper.ErrForeign) || poolkeeper.HintOf(err) == "" {
		t.Errorf("error %v, want ErrForeign with a hint", err)
	}
	snap, err := inner.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := storetest.Diff(want, snap); d != "" {
		t.Errorf("the neighbour has changed:\n%s", d)
	}
}

// A pool that was read whole has the revisions that it was read at, whatever
// is read of it after.
func TestPoolKeepsItsRevisions(t *testing.T) {
	r := newRig(t)
	tap := startTap(t, r.srv.Socket())
	b := r.open(tap.url(), patient)
	r.must(r.b, defineOp(poolkeeper.OpPutProvider, "b", `,"x":1`))
	before, err := r.b.Load(t.Context(), kiro)
	if err != nil {
		t.Fatal(err)
	}
	tap.hold("EVAL") // the reading of the single provider
	var wg sync.WaitGroup
	var snap *poolkeeper.Snapshot
	wg.Go(func() {
		snap, err = b.Load(t.Context(), kiro, poolkeeper.ProviderKey(poolkeeper.Ref{Type: "kiro", ID: "b"}))
	})
	tap.waitHeld(t)
	r.must(r.b, defineOp(poolkeeper.OpPutProvider, "b", `,"x":2`))
	tap.letGo()
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	got, want := snap.Pools["kiro"], before.Pools["kiro"]
	if got.Revision != want.Revision || got.Structure != want.Structure {
		t.Errorf("revisions %v and %v, want %v and %v", got.Revision, got.Structure, want.Revision, want.Structure)
	}
	if def := string(got.Provider("b").Definition); def != `{"uuid":"b","x":1}` {
		t.Errorf("definition %s is not of those revisions", def)
	}
}

// A restore of nothing makes an empty store.
func TestRestoreOfNothing(t *testing.T) {
	pool := poolkeeper.NewSnapshot()
	pool.Types, pool.Pools["x"] = []string{"x"}, nil
	for name, snap := range map[string]*poolkeeper.Snapshot{"no snapshot": nil, "no pool": pool} {
		t.Run(name, func(t *testing.T) {
			srv := redistest.Start(t)
			r := &rig{T: t, srv: srv}
			b := r.open(srv.SocketURL())
			if err := b.Restore(t.Context(), snap); err != nil {
				t.Fatal(err)
			}
			if info, err := b.Info(t.Context()); err != nil || !info.Ready {
				t.Errorf("Info: %+v, %v", info, err)
			}
		})
	}
}

// An edit under an old id reaches the provider that the id leads to when it is
// written, not when it was read.
func TestAliasTakenBetweenReadAndWrite(t *testing.T) {
	for _, c := range []struct {
		op     poolkeeper.Op
		script string // what of its request tells it apart
	}{
		{poolkeeper.Op{Kind: poolkeeper.OpPatchProvider, Key: kiro, ID: "c", Patch: poolkeeper.MergePatch, Data: []byte(`{"patched":1}`)}, "$3\r\nput\r\n"},
		{poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "c", NewID: "e"}, "$6\r\nrename\r\n"},
		{poolOp(poolkeeper.OpDeleteProvider, "c"), "$6\r\ndelete\r\n"},
	} {
		t.Run(string(c.op.Kind), func(t *testing.T) {
			r := newRig(t)
			r.must(r.b, poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "c", NewID: "d", At: rigAt})
			before := r.srv.DoString("HGET", rigPool, "d")
			tap := startTap(t, r.srv.Socket())
			b := r.open(tap.url(), patient)
			tap.hold(c.script)
			done := make(chan poolkeeper.Result)
			go func() { done <- r.try(b, c.op) }()
			tap.waitHeld(t)
			r.must(r.b, defineOp(poolkeeper.OpPutProvider, "c", ""))
			tap.letGo()
			if res := <-done; res.Err != nil || res.ID == "d" {
				t.Errorf("it reached %q, error %v", res.ID, res.Err)
			}
			if now := r.srv.DoString("HGET", rigPool, "d"); now != before {
				t.Errorf("the renamed provider is %q, and was %q", now, before)
			}
		})
	}
}
