package redisstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
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

// plentiful is a snapshot that takes several round trips to restore.
func plentiful(mark string) *poolkeeper.Snapshot {
	snap := rigSnapshot()
	p := &poolkeeper.Pool{Type: "many"}
	for _, rec := range generation(mark, 0, 3000).Providers {
		p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "many", ID: rec.ID}, Definition: rec.Definition})
		snap.Values[poolkeeper.TokenKey(poolkeeper.Ref{Type: "many", ID: rec.ID})] = poolkeeper.Document{Data: []byte(`{"refreshToken":"` + mark + `"}`)}
	}
	snap.AddPool(p)
	return snap
}

// A restore that was cut off is seen by nobody, is marked, and is simply run
// again; nothing of the first run is left then.
func TestRestoreCutOff(t *testing.T) {
	srv := redistest.Start(t)
	r := &rig{T: t, srv: srv}
	proxy, b := r.proxied(hasty)
	proxy.CutBeforeRequest(1, "SADD") // comes after the values
	if err := b.Restore(t.Context(), plentiful("first")); err == nil {
		t.Fatal("the restore came through")
	} else if !errors.Is(err, poolkeeper.ErrUnavailable) && !errors.Is(err, poolkeeper.ErrIndeterminate) {
		t.Errorf("error %v", err)
	}
	if n := len(srv.Keys("t:tokens:*")); n == 0 {
		t.Fatal("nothing was written before it was cut off")
	}
	if srv.DoString("HGET", "t:meta", "epoch") != "" || srv.DoString("HGET", "t:meta", "importing") == "" {
		t.Errorf("meta: %v", srv.HGetAll("t:meta"))
	}
	other := r.open(srv.SocketURL())
	if _, err := other.Load(t.Context()); !errors.Is(err, poolkeeper.ErrUninitialized) {
		t.Errorf("Load: %v, want ErrUninitialized", err)
	}
	r.refused(other, useOp("a", 1), poolkeeper.ErrUninitialized)
	if info, err := other.Info(t.Context()); err != nil || !info.Importing || info.Ready {
		t.Errorf("Info: %+v, %v", info, err)
	}
	second := rigSnapshot()
	if err := other.Restore(t.Context(), second); err != nil {
		t.Fatalf("run again: %v", err)
	}
	snap, err := other.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := storetest.Diff(second, snap); d != "" {
		t.Errorf("after it was run again:\n%s", d)
	}
	if info, err := other.Info(t.Context()); err != nil || info.Importing || !info.Ready {
		t.Errorf("Info: %+v, %v", info, err)
	}
	if keys := srv.Keys("t:lock:*"); len(keys) != 0 {
		t.Errorf("locks are left: %q", keys)
	}
}

// The lock of a run that died keeps others out for half a minute at most.
func TestRestoreOfTheDead(t *testing.T) {
	srv := redistest.Start(t)
	r := &rig{T: t, srv: srv}
	proxy, b := r.proxied(impatient)
	var wg sync.WaitGroup
	wg.Go(func() {
		if b.Restore(t.Context(), plentiful("first")) == nil {
			t.Error("the restore came through")
		}
	})
	for len(srv.Keys("t:tokens:*")) == 0 {
		time.Sleep(time.Millisecond)
	}
	proxy.Down()
	wg.Wait()
	if ttl := srv.DoInt("PTTL", "t:lock:{t:meta}"); ttl <= 0 || ttl > 30_000 {
		t.Fatalf("the lock of a dead run lives %d ms", ttl)
	}
	if err := r.open(srv.SocketURL()).Restore(t.Context(), rigSnapshot()); !errors.Is(err, poolkeeper.ErrForbidden) || poolkeeper.HintOf(err) == "" {
		t.Errorf("while the lock is there: error %v, want ErrForbidden with a hint", err)
	}
	srv.DoInt("PEXPIRE", "t:lock:{t:meta}", "1")
	time.Sleep(5 * time.Millisecond)
	if err := r.open(srv.SocketURL()).Restore(t.Context(), rigSnapshot()); err != nil {
		t.Error(err)
	}
}

// A context that ends leaves nothing that would be seen.
func TestRestoreCancelled(t *testing.T) {
	srv := redistest.Start(t)
	r := &rig{T: t, srv: srv}
	for range 20 { // until the end comes in its midst
		srv.FlushAll()
		b := r.open(srv.SocketURL())
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for len(srv.Keys("t:tokens:*")) == 0 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			cancel()
		})
		err := b.Restore(ctx, plentiful("first"))
		cancel()
		wg.Wait()
		if err == nil {
			continue
		}
		if srv.DoString("HGET", "t:meta", "epoch") != "" {
			t.Error("the store is initialised")
		}
		if err := b.Restore(t.Context(), rigSnapshot()); err != nil {
			t.Error(err)
		}
		return
	}
	t.Fatal("every restore was through before it could be cancelled")
}

// Of many at once one wins, and the store is that one's.
func TestRestoresAtOnce(t *testing.T) {
	srv := redistest.Start(t)
	r := &rig{T: t, srv: srv}
	for round := range 5 {
		srv.FlushAll()
		const n = 6
		errs := make([]error, n)
		snaps := make([]*poolkeeper.Snapshot, n)
		var stores []*redisstore.Store
		for i := range n {
			snaps[i] = rigSnapshot()
			snaps[i].Values[poolkeeper.PasswordKey] = poolkeeper.Document{Data: []byte{byte('a' + i)}}
			stores = append(stores, r.open(srv.SocketURL()))
		}
		var wg sync.WaitGroup
		for i, b := range stores {
			wg.Go(func() { errs[i] = b.Restore(t.Context(), snaps[i]) })
		}
		wg.Wait()
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("round %d: none came through: %v", round, errs)
		}
		for i, err := range errs {
			if i != winner && !errors.Is(err, poolkeeper.ErrForbidden) && !errors.Is(err, poolkeeper.ErrExists) && !errors.Is(err, poolkeeper.ErrConflict) {
				t.Errorf("round %d: error %v of one that lost", round, err)
			}
		}
		snap, err := stores[(winner+1)%n].Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := storetest.Diff(snaps[winner], snap); d != "" {
			t.Errorf("round %d: the store is not the winner's:\n%s", round, d)
		}
	}
}

// One that looked before another ended, and gets the lock after, does not
// remove what the other has restored.
func TestRestoreRightAfterAnother(t *testing.T) {
	srv := redistest.Start(t)
	r := &rig{T: t, srv: srv}
	tap := startTap(t, srv.Socket())
	slow := r.open(tap.url(), patient)
	quick := r.open(srv.SocketURL())
	tap.hold("$2\r\nNX\r\n") // the taking of the lock
	var wg sync.WaitGroup
	var err error
	wg.Go(func() { err = slow.Restore(t.Context(), rigSnapshot()) })
	tap.waitHeld(t)
	if err := quick.Restore(t.Context(), plentiful("quick")); err != nil {
		t.Fatal(err)
	}
	before := srv.Dump()
	tap.letGo()
	wg.Wait()
	if !errors.Is(err, poolkeeper.ErrExists) {
		t.Errorf("error %v, want ErrExists", err)
	}
	if redistest.Hash(before) != redistest.Hash(srv.Dump()) {
		t.Error("it changed what the other had restored")
	}
}

func TestRestoreIntoInitialised(t *testing.T) {
	r := newRig(t)
	r.unchanged("a restore into an initialised store", func() {
		for _, b := range []*redisstore.Store{r.b, r.open(r.srv.SocketURL())} {
			if err := b.Restore(t.Context(), plentiful("x")); !errors.Is(err, poolkeeper.ErrExists) {
				t.Errorf("error %v, want ErrExists", err)
			}
		}
	})
}

// A layout that is not ours is left alone.
func TestForeignStore(t *testing.T) {
	srv := redistest.Start(t)
	data, err := os.ReadFile("../testdata/fixtures/fork-redis/commands.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		var cmd []string
		if err := json.Unmarshal([]byte(line), &cmd); err != nil {
			t.Fatal(err)
		}
		if _, err := srv.Do(cmd...); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n == 0 {
		t.Fatal("the fixture is empty")
	}
	r := &rig{T: t, srv: srv}
	b := r.open(srv.SocketURL(), func(o *redisstore.Options) { o.Prefix = "aiclient:" })
	r.unchanged("a store on a foreign layout", func() {
		if err := b.Restore(t.Context(), rigSnapshot()); !errors.Is(err, poolkeeper.ErrForeign) || poolkeeper.HintOf(err) == "" {
			t.Errorf("Restore: %v, want ErrForeign with a hint", err)
		}
		if _, err := b.Load(t.Context()); !errors.Is(err, poolkeeper.ErrForeign) {
			t.Errorf("Load: %v, want ErrForeign", err)
		}
		for _, op := range writes() {
			r.refused(b, op, poolkeeper.ErrForeign)
		}
		if info, err := b.Info(t.Context()); err != nil || info.Ready || info.Problem == "" {
			t.Errorf("Info: %+v, %v", info, err)
		}
	})
	// Beside it, another prefix is another tenant.
	if err := r.open(srv.SocketURL()).Restore(t.Context(), rigSnapshot()); err != nil {
		t.Error(err)
	}
}

func TestInfo(t *testing.T) {
	srv := redistest.Start(t, redistest.WithPassword("s3cret"))
	r := rigOn(t, srv)
	b := r.open(srv.URL())
	info, err := b.Info(t.Context())
	if err != nil || !info.Ready || info.Backend != "redis" || info.Target != "redis://"+srv.Addr() || info.Writer == "" || len(info.Warnings) != 0 {
		t.Errorf("Info: %+v, %v", info, err)
	}
	if info.Details["version"] == "" || info.Details["prefix"] != rigPrefix || info.Details["maxmemory-policy"] != "noeviction" {
		t.Errorf("details: %v", info.Details)
	}
	srv.ConfigSet("maxmemory-policy", "allkeys-lru")
	if info, err = b.Info(t.Context()); err != nil || len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], "allkeys-lru") {
		t.Errorf("Info: %+v, %v", info, err)
	}
	if strings.Contains(fmt.Sprintf("%+v", info), "s3cret") {
		t.Errorf("Info has a secret: %+v", info)
	}
	srv.Kill()
	for range 3 {
		if info, err = b.Info(t.Context()); err != nil || info.Ready || info.Problem == "" || strings.Contains(fmt.Sprintf("%+v", info), "s3cret") {
			t.Errorf("Info without Redis: %+v, %v", info, err)
		}
	}
}
