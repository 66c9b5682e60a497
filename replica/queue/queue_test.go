package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
	"github.com/poolkeeper/poolkeeper/replica/queue"
)

// With the store gone, what can wait is queued and the rest is refused; when it is
// back all of it is there, once, in order, and nothing is queued any more.
func TestOutage(t *testing.T) {
	t.Parallel()
	for _, durable := range []bool{true, false} {
		t.Run(fmt.Sprintf("durable=%t", durable), func(t *testing.T) {
			r := newRig(t)
			dir, want := t.TempDir(), poolkeeper.Queued
			if !durable {
				dir, want = "", poolkeeper.Buffered
			}
			var events []string
			var mu sync.Mutex
			note := func(format string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				events = append(events, fmt.Sprintf(format, args...))
			}
			q := r.queue(r.srv.SocketURL(), dir, nil)
			known := map[uint64]bool{}
			q.Observe(func(op poolkeeper.QueuedOp, sent bool) {
				if !sent || !known[op.Entry] {
					note("queued %s %s", op.Op.Kind, op.Op.Subject())
				}
				known[op.Entry] = true
			},
				func(op poolkeeper.QueuedOp, res poolkeeper.Result) { note("settled %s %v", op.Op.Kind, res.Err) })
			r.must(q, useOp("a", 1), poolkeeper.Applied)
			r.srv.Stop()
			r.must(q, useOp("a", 10), want)
			bad := poolOp(poolkeeper.OpError, "b")
			bad.Immediate, bad.Threshold = true, 3
			reset := poolOp(poolkeeper.OpReset, "a")
			reset.Usage = true
			add := poolOp(poolkeeper.OpAddProvider, "d")
			add.Data = []byte(`{"uuid":"d"}`)
			for _, op := range []poolkeeper.Op{reset, useOp("a", 3), useOp("a", 4), bad, patchOp("c", `{"x":1}`), patchOp("c", `{"x":2,"y":1}`),
				add, useOp("d", 1), poolOp(poolkeeper.OpDeleteProvider, "b"), putOp("one.json", `{"n":1}`), putOp("one.json", `{"n":2}`),
				{Kind: poolkeeper.OpPatch, Key: poolkeeper.ConfigKey, Patch: poolkeeper.MergePatch, Data: []byte(`{"b":2}`), At: now()}} {
				r.must(q, op, want)
			}
			conditional := patchOp("c", `{"x":3}`)
			conditional.If = poolkeeper.IfPresent
			for _, op := range []poolkeeper.Op{conditional, {Kind: poolkeeper.OpPut, Key: poolkeeper.PasswordKey, Data: []byte("p")},
				{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "a", NewID: "z"}, {Kind: poolkeeper.OpDeletePool, Key: kiro}} {
				r.refused(q, op, poolkeeper.ErrUnavailable)
			}
			r.refused(q, useOp("a", -1), poolkeeper.ErrInvalid)
			r.srv.Restart()
			r.empty(q)
			for got, want := range map[string]string{
				r.state("a", "usageCount"): "7", r.state("d", "usageCount"): "1", r.definition("b"): "", r.definition("c"): `{"uuid":"c","x":2,"y":1}`,
				r.srv.DoString("GET", "t:doc:one.json"): `{"n":2}`, r.srv.DoString("GET", "t:config"): `{"a":1,"b":2}`,
			} {
				if got != want {
					t.Errorf("there is %q, want %q", got, want)
				}
			}
			r.eventually("ops are applied at once again", func() bool { return q.Apply(t.Context(), useOp("a", 1))[0].Status == poolkeeper.Applied })
			if len(q.Backlog().Aside()) > 0 || q.Err() != nil {
				t.Errorf("set aside are %+v; %v", q.Backlog().Aside(), q.Err())
			}
			mu.Lock()
			defer mu.Unlock()
			queued := slices.DeleteFunc(slices.Clone(events), func(e string) bool { return !strings.HasPrefix(e, "queued") })
			if len(queued) < 13 || len(events) < 2*len(queued)-1 {
				t.Errorf("the hooks were told %q", events)
			}
		})
	}
}

// What others did meanwhile is not trampled: each conflict has its rule, and what
// cannot be applied is listed.
func TestConflicts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	proxy := redistest.StartProxy(t, r.srv.Socket())
	q := r.queue(proxy.URL(), t.TempDir(), nil)
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	token := poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "a"})
	other := poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "c"})
	for _, key := range []poolkeeper.Key{token, other} {
		r.must(q, poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: []byte(`{"refreshToken":"r1"}`), At: now()}, poolkeeper.Applied)
	}
	from, _ := poolkeeper.RefreshTokenHash([]byte(`{"refreshToken":"r1"}`))
	refreshed := poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: token, Patch: poolkeeper.MergePatch, Data: []byte(`{"refreshToken":"ours"}`), From: from, At: now()}
	proxy.Down()
	r.refused(q, poolkeeper.Op{Kind: poolkeeper.OpPut, Key: token, Data: []byte(`{}`)}, poolkeeper.ErrUnavailable)
	r.must(q, refreshed, poolkeeper.Queued)
	refreshed.Key = other
	r.must(q, refreshed, poolkeeper.Queued)
	early := poolOp(poolkeeper.OpSuccess, "a")
	r.must(q, early, poolkeeper.Queued)
	r.must(q, useOp("a", 10), poolkeeper.Queued)
	r.must(q, useOp("b", 10), poolkeeper.Queued)
	r.must(q, patchOp("b", `{"gone":1}`), poolkeeper.Queued)
	r.must(q, patchOp("a", `{"ours":1,"both":"ours"}`), poolkeeper.Queued)
	r.must(q, useOp("c", 10), poolkeeper.Queued)
	r.must(q, poolOp(poolkeeper.OpDeleteProvider, "x"), poolkeeper.Queued)
	add := poolOp(poolkeeper.OpAddProvider, "n")
	add.Data = []byte(`{"uuid":"n","from":"us"}`)
	r.must(q, add, poolkeeper.Queued)
	// Meanwhile, elsewhere.
	late := poolOp(poolkeeper.OpError, "a")
	late.Immediate, late.Threshold, late.At = true, 2, late.At+5000
	r.must(r.plain, late, poolkeeper.Applied)
	r.must(r.plain, useOp("a", 100), poolkeeper.Applied)
	r.must(r.plain, patchOp("a", `{"theirs":1,"both":"theirs"}`), poolkeeper.Applied)
	r.must(r.plain, poolOp(poolkeeper.OpDeleteProvider, "b"), poolkeeper.Applied)
	r.must(r.plain, poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "c", NewID: "c2", At: now()}, poolkeeper.Applied)
	r.must(r.plain, poolkeeper.Op{Kind: poolkeeper.OpPut, Key: token, Data: []byte(`{"refreshToken":"theirs"}`), At: now()}, poolkeeper.Applied)
	r.must(r.plain, poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: other, Patch: poolkeeper.MergePatch, Data: []byte(`{"edited":1}`), At: now()}, poolkeeper.Applied)
	theirs := poolOp(poolkeeper.OpAddProvider, "n")
	theirs.Data = []byte(`{"uuid":"n","from":"them"}`)
	r.must(r.plain, theirs, poolkeeper.Applied)
	proxy.Up()
	r.empty(q)
	for got, want := range map[string]string{
		"a " + r.state("a", "usageCount"): "a 111", "healthy " + r.state("a", "isHealthy"): "healthy false",
		"c2 " + r.state("c2", "usageCount"): "c2 10", r.definition("n"): `{"uuid":"n","from":"them"}`,
		r.definition("a"):                        `{"uuid":"a","theirs":1,"both":"ours","ours":1}`,
		r.srv.DoString("GET", "t:tokens:kiro:a"): `{"refreshToken":"theirs"}`, r.srv.DoString("GET", "t:tokens:kiro:c"): `{"refreshToken":"ours","edited":1}`,
	} {
		if got != want {
			t.Errorf("there is %s, want %s", got, want)
		}
	}
	var listed []string
	for _, a := range q.Backlog().Aside() {
		listed = append(listed, fmt.Sprintf("%s %s %s", a.Op.Kind, a.Op.ID, a.Reason))
	}
	if want := []string{"patch  conflict", "usage b not-found", "provider.patch b not-found", "provider.add n exists"}; !slices.Equal(listed, want) {
		t.Errorf("set aside are %q, want %q", listed, want)
	}
	// Each can be tried again, or given up.
	back := poolOp(poolkeeper.OpAddProvider, "b")
	back.Data = []byte(`{"uuid":"b"}`)
	r.must(r.plain, back, poolkeeper.Applied)
	aside := q.Backlog().Aside()
	if done, err := q.RetryAside(t.Context(), poolkeeper.Pick{Entries: []uint64{aside[1].Entry}}); err != nil || done != (poolkeeper.Decided{Changed: 1, Aside: 3}) {
		t.Fatal(done, err)
	}
	r.empty(q)
	if done, err := q.DiscardAside(t.Context(), poolkeeper.Pick{All: true}); err != nil || done != (poolkeeper.Decided{Changed: 3}) {
		t.Fatal(done, err)
	}
	r.empty(q)
	if got := r.state("b", "usageCount"); got != "10" || len(q.Backlog().Aside()) != 0 {
		t.Errorf("after a retry the counter is %q, and set aside are %+v", got, q.Backlog().Aside())
	}
}

// A poisoned op is set aside; those before and behind it go through.
func TestPoisonedOps(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	proxy := redistest.StartProxy(t, r.srv.Socket())
	q := r.queue(proxy.URL(), t.TempDir(), nil)
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	r.srv.DoString("LPUSH", "t:once:{t:pools:kiro}:"+poolkeeper.ETag([]byte("poison")), "not a string")
	r.srv.DoString("LPUSH", "t:doc:bad.json", "not a string")
	proxy.Down()
	for i := range 20 {
		op := useOp("a", 1)
		op.IdempotencyKey = fmt.Sprint("k", i)
		if i == 7 {
			op.IdempotencyKey = "poison"
		}
		r.must(q, op, poolkeeper.Queued)
	}
	r.must(q, useOp("b", 1), poolkeeper.Queued)
	r.must(q, putOp("bad.json", `{}`), poolkeeper.Queued)
	r.must(q, putOp("good.json", `{}`), poolkeeper.Queued)
	proxy.Up()
	r.empty(q)
	if a, b := r.state("a", "usageCount"), r.state("b", "usageCount"); a != "20" || b != "1" {
		t.Errorf("the counters are %s and %s, want 20 and 1", a, b)
	}
	var listed []string
	for _, a := range q.Backlog().Aside() {
		listed = append(listed, a.Op.Key.String()+" "+a.Op.IdempotencyKey+" "+a.Reason)
	}
	slices.Sort(listed)
	if len(listed) != 2 || !strings.Contains(listed[1], "poison damaged") || !strings.Contains(listed[0], "bad.json") {
		t.Errorf("set aside are %q", listed)
	}
}

// Live ops of a key stand behind those that wait, those of other keys do not.
func TestLiveBehindQueued(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	proxy := redistest.StartProxy(t, r.srv.Socket())
	q := r.queue(proxy.URL(), t.TempDir(), &queue.Options{Chunk: 3})
	r.must(q, putOp("other.json", `{}`), poolkeeper.Applied)
	proxy.Down()
	const queued = 100
	live := 0
	for i := range queued {
		r.must(q, putOp("d.json", fmt.Sprintf(`{"n":%d}`, i)), poolkeeper.Queued)
	}
	r.must(q, useOp("a", 1), poolkeeper.Queued)
	proxy.Up()
	// The last one that is acknowledged is the one that stays, whatever the way of each.
	var applied atomic.Int64
	other := make(chan struct{})
	go func() {
		defer close(other)
		for i := range 100 {
			res := q.Apply(t.Context(), putOp("other.json", fmt.Sprintf(`{"n":%d}`, i)))[0]
			if res.Status == poolkeeper.Applied {
				applied.Add(1)
			} else {
				time.Sleep(20 * time.Millisecond)
			}
		}
	}()
	said := map[poolkeeper.Status]int{}
	for i := 0; i < 100 || said[poolkeeper.Applied] < 20 && i < 5000; i++ {
		live++
		res := q.Apply(t.Context(), putOp("d.json", fmt.Sprintf(`{"n":%d}`, queued+i)))[0]
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		if said[res.Status]++; res.Status == poolkeeper.Queued && i > 50 {
			time.Sleep(10 * time.Millisecond) // more comes out than in
		}
		if i%5 == 0 && res.Status == poolkeeper.Applied {
			if got := r.srv.DoString("GET", "t:doc:d.json"); got != fmt.Sprintf(`{"n":%d}`, queued+i) {
				t.Fatalf("after %d was applied there is %s", queued+i, got)
			}
		}
	}
	<-other
	r.empty(q)
	if got, want := r.srv.DoString("GET", "t:doc:d.json"), fmt.Sprintf(`{"n":%d}`, queued+live-1); got != want {
		t.Errorf("in the end there is %s, want %s (%v)", got, want, said)
	}
	if said[poolkeeper.Queued] == 0 || said[poolkeeper.Applied] == 0 || applied.Load() == 0 {
		t.Errorf("live ops were %v, those of another key %d times applied", said, applied.Load())
	}
}

// Order within one provider, where live ops meet the replay: an increment that was
// acknowledged after a reset stays.
func TestResetBetweenIncrements(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	proxy := redistest.StartProxy(t, r.srv.Socket())
	q := r.queue(proxy.URL(), t.TempDir(), &queue.Options{Chunk: 5})
	reset := func() poolkeeper.Op { op := poolOp(poolkeeper.OpReset, "a"); op.Usage = true; return op }
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	for round := range 5 {
		proxy.Down()
		for range 20 {
			r.must(q, useOp("a", 1000), poolkeeper.Queued)
			r.must(q, useOp("b", 1), poolkeeper.Queued)
			r.must(q, reset(), poolkeeper.Queued)
		}
		proxy.Up()
		for range 20 {
			q.Apply(t.Context(), useOp("a", 1000))
			q.Apply(t.Context(), reset())
		}
		q.Apply(t.Context(), useOp("a", 7))
		r.empty(q)
		if a, b := r.state("a", "usageCount"), r.state("b", "usageCount"); a != "7" || b != fmt.Sprint(20*(round+1)) {
			t.Fatalf("round %d: the counters are %s and %s", round, a, b)
		}
	}
}

// A backlog is of one prefix: requests of another one cannot be sent again.
func TestAnotherPrefix(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir := t.TempDir()
	log, err := backlog.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	proxy := redistest.StartProxy(t, r.srv.Socket())
	s, err := redisstore.Open(t.Context(), proxy.URL(), options(log))
	if err != nil {
		t.Fatal(err)
	}
	r.must(s, useOp("a", 1), poolkeeper.Applied)
	proxy.CutBeforeRequest(1_000_000, "EVALSHA", "EVAL")
	r.must(s, useOp("a", 1), poolkeeper.Queued)
	s.Close()
	log.Close()
	other := options(nil)
	other.Prefix = "other:"
	b, err := redisstore.Open(t.Context(), r.srv.SocketURL(), other)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Restore(t.Context(), poolkeeper.NewSnapshot()); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if log, err = backlog.Open(dir, nil); err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	_, err = queue.New(t.Context(), func(ctx context.Context) (queue.Source, error) {
		other.Spool = log
		return redisstore.Open(ctx, r.srv.SocketURL(), other)
	}, log, nil)
	if !errors.Is(err, poolkeeper.ErrInvalid) || log.State().Frozen != 1 || log.Epoch() != "" {
		t.Errorf("%v, with %+v", err, log.State())
	}
}

// Ops that are for one store do not go to another one.
func TestAnotherStore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir := t.TempDir()
	q := r.queue(r.srv.SocketURL(), dir, nil)
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	r.srv.Stop()
	r.must(q, useOp("a", 10), poolkeeper.Queued)
	q.Close()
	r.srv.Restart()
	r.srv.DoString("HSET", "t:meta", "epoch", strings.Repeat("0", 32))
	q = r.queue(r.srv.SocketURL(), dir, nil)
	r.must(q, useOp("b", 1), poolkeeper.Queued)
	if !errors.Is(q.Err(), poolkeeper.ErrLost) || q.Backlog().State().Ops != 2 || len(q.Backlog().Aside()) > 0 {
		t.Errorf("%v, with %+v", q.Err(), q.Backlog().State())
	}
	if got := r.state("a", "usageCount"); got != "1" {
		t.Errorf("the counter is %s", got)
	}
}

// Ops that are given together stay in their order, whether the store is there, goes
// away, or is away.
func TestTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	q := r.queue(r.srv.SocketURL(), t.TempDir(), nil)
	var ops []poolkeeper.Op
	for i := range 1000 {
		ops = append(ops, useOp("a", 1))
		if i%100 == 0 {
			ops = append(ops, putOp("d.json", fmt.Sprintf(`{"n":%d}`, i)))
		}
	}
	all := func(want poolkeeper.Status) {
		t.Helper()
		for i, res := range q.Apply(t.Context(), ops...) {
			if res.Err != nil || res.Status != want {
				t.Fatalf("op %d: %s, %v, want %s", i, res.Status, res.Err, want)
			}
		}
	}
	all(poolkeeper.Applied)
	r.srv.Stop()
	all(poolkeeper.Queued)
	all(poolkeeper.Queued)
	r.srv.Restart()
	r.empty(q)
	if got := r.state("a", "usageCount"); got != "3000" {
		t.Errorf("the counter is %s", got)
	}
	if got := r.srv.DoString("GET", "t:doc:d.json"); got != `{"n":900}` {
		t.Errorf("the document is %s", got)
	}
}

// A store that is read and refuses writes is away for them: that is its mode, with the
// reason, nobody waits for it, and when it is over what was queued is brought to it.
func TestWritesRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ refuse, allow []string }{
		"out of memory": {[]string{"CONFIG", "SET", "maxmemory", "1"}, []string{"CONFIG", "SET", "maxmemory", "0"}},
		"read-only":     {[]string{"REPLICAOF", "127.0.0.1", "1"}, []string{"REPLICAOF", "NO", "ONE"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			q := r.queue(r.srv.SocketURL(), t.TempDir(), nil)
			r.must(q, useOp("a", 1), poolkeeper.Applied)
			r.srv.DoString(c.refuse...)
			r.must(q, useOp("a", 10), poolkeeper.Queued)
			r.eventually("it is degraded", func() bool { return q.Mode() == poolkeeper.ModeDegraded })
			for i := range 20 {
				r.must(q, putOp(fmt.Sprintf("d%d.json", i), `{}`), poolkeeper.Queued)
			}
			info, err := q.Info(t.Context())
			if err != nil || info.Problem == "" || !info.Serving || info.Mode != poolkeeper.ModeDegraded {
				t.Errorf("%+v, %v", info, err)
			}
			time.Sleep(300 * time.Millisecond) // looks go on, and find the same
			if mode := q.Mode(); mode != poolkeeper.ModeDegraded {
				t.Errorf("a little later it is %s", mode)
			}
			r.srv.DoString(c.allow...)
			r.empty(q)
			r.eventually("it is online", func() bool { return q.Mode() == poolkeeper.ModeOnline })
			if got := r.state("a", "usageCount"); got != "11" {
				t.Errorf("the counter is %s", got)
			}
		})
	}
}
