package replica_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A queuer is a source that can be away, and acknowledges what it is given then; it
// applies it when it is told to.
type queuer struct {
	*faulty
	entry   atomic.Uint64
	queued  func(poolkeeper.QueuedOp, bool)
	settled func(poolkeeper.QueuedOp, poolkeeper.Result)
	waiting []poolkeeper.QueuedOp
	sent    bool // what is queued may have been executed
}

func (q *queuer) Observe(queued func(poolkeeper.QueuedOp, bool), settled func(poolkeeper.QueuedOp, poolkeeper.Result)) {
	q.queued, q.settled = queued, settled
	for _, op := range q.waiting {
		queued(op, false)
	}
}

func (q *queuer) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	results := q.faulty.Apply(ctx, ops...)
	for i := range results {
		if errors.Is(results[i].Err, poolkeeper.ErrUnavailable) {
			op := poolkeeper.QueuedOp{Entry: q.entry.Add(1), Op: ops[i]}
			q.waiting = append(q.waiting, op)
			q.queued(op, q.sent)
			results[i] = poolkeeper.Result{Status: poolkeeper.Queued, ID: ops[i].ID, Changed: true}
		}
	}
	return results
}

// replay applies what waits, or all but the last n.
func (q *queuer) replay(t *testing.T, but int) {
	t.Helper()
	for len(q.waiting) > but {
		op := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.settled(op, q.Store.Apply(t.Context(), op.Op)[0])
	}
}

func queuing(t *testing.T, loading ...time.Duration) (*queuer, *poolkeeper.Store, poolkeeper.Ref) {
	t.Helper()
	store := memstore.New(nil)
	if err := store.Restore(t.Context(), filled(3)); err != nil {
		t.Fatal(err)
	}
	q := &queuer{faulty: &faulty{Store: store}}
	if len(loading) > 0 {
		q.loading = loading[0]
	}
	st := poolkeeper.New(over(t, q, time.Now), nil)
	t.Cleanup(func() { st.Close() })
	return q, st, poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
}

func usageOf(t *testing.T, st *poolkeeper.Store, ref poolkeeper.Ref) int64 {
	t.Helper()
	p, err := st.Provider(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	view, err := st.View(t.Context())
	if err != nil || view.Provider(ref).Count(poolkeeper.UsageCount) != p.Count(poolkeeper.UsageCount) {
		t.Errorf("the view has %d, the copy %d, %v", view.Provider(ref).Count(poolkeeper.UsageCount), p.Count(poolkeeper.UsageCount), err)
	}
	return p.Count(poolkeeper.UsageCount)
}

// TestQueuedIsShown: what is queued is read at once, never twice, and never gone: while
// it waits, while it is replayed, and after that with what others did meanwhile.
func TestQueuedIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, st, ref := queuing(t)
		direct := poolkeeper.New(q.Store, nil)
		must := func(_ poolkeeper.Result, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		base := usageOf(t, st, ref)
		q.cut()
		synctest.Wait()
		for range 10 {
			must(st.Usage(t.Context(), ref, 3))
		}
		must(st.PatchProvider(t.Context(), ref, poolkeeper.MergePatch, []byte(`{"ours":1}`), poolkeeper.Always))
		must(st.AddProvider(t.Context(), "fresh", []byte(`{"uuid":"f"}`)))
		must(st.PutDocument(t.Context(), "d.json", []byte(`{"n":1}`), poolkeeper.Always))
		must(st.DeleteProvider(t.Context(), poolkeeper.Ref{Type: ref.Type, ID: "00000000-0000-4000-8000-000000000002"}, poolkeeper.Always))
		check := func(when string, want int64) {
			t.Helper()
			if got := usageOf(t, st, ref); got != want {
				t.Errorf("%s: the count is %d, want %d", when, got, want)
			}
			if d, err := st.Document(t.Context(), "d.json"); err != nil || string(d.Data) != `{"n":1}` {
				t.Errorf("%s: the document is %s, %v", when, d.Data, err)
			}
			if all, err := st.Documents(t.Context()); err != nil || string(all["d.json"].Data) != `{"n":1}` {
				t.Errorf("%s: the documents are %v, %v", when, all, err)
			}
			types, err := st.Types(t.Context())
			if err != nil || types[len(types)-1] != "fresh" {
				t.Errorf("%s: the types are %v, %v", when, types, err)
			}
			if _, err := st.Provider(t.Context(), poolkeeper.Ref{Type: "fresh", ID: "f"}); err != nil {
				t.Errorf("%s: the new one: %v", when, err)
			}
			if _, err := st.Provider(t.Context(), poolkeeper.Ref{Type: ref.Type, ID: "00000000-0000-4000-8000-000000000002"}); !errors.Is(err, poolkeeper.ErrNotFound) {
				t.Errorf("%s: the deleted one: %v", when, err)
			}
		}
		check("queued", base+30)
		must(direct.Usage(t.Context(), ref, 1000)) // by somebody else
		q.away.Store(false)
		time.Sleep(time.Second)
		check("with the store back", base+30)
		q.replay(t, 7)
		check("half replayed", base+30)
		q.replay(t, 0)
		if got := usageOf(t, st, ref); got < base+30 {
			t.Errorf("all replayed, and the count is %d", got)
		}
		time.Sleep(time.Second)
		check("in the end", base+1030)
		if p, err := st.Provider(t.Context(), ref); err != nil || !contains(p.Definition, `"ours":1`) {
			t.Errorf("in the end it is %s, %v", p.Definition, err)
		}
	})
}

// TestSentIsNotCountedTwice: what may have been executed is not shown on top of what
// the store has, nor is what was refused in the end.
func TestSentIsNotCountedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, st, ref := queuing(t)
		base := usageOf(t, st, ref)
		q.sent = true
		q.cut()
		synctest.Wait()
		if _, err := st.Usage(t.Context(), ref, 5); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Error(t.Context(), ref, poolkeeper.Failure{Unhealthy: true}); err != nil {
			t.Fatal(err)
		}
		p, err := st.Provider(t.Context(), ref)
		if err != nil || p.Count(poolkeeper.UsageCount) != base || p.Healthy() {
			t.Errorf("it shows %+v, %v", p, err)
		}
		q.sent = false
		if _, err := st.PutDocument(t.Context(), "d.json", []byte(`{}`), poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
		q.away.Store(false)
		q.settled(q.waiting[2], poolkeeper.Result{Err: poolkeeper.ErrConflict})
		q.waiting = q.waiting[:2]
		q.replay(t, 0)
		time.Sleep(time.Second)
		if got := usageOf(t, st, ref); got != base+5 {
			t.Errorf("in the end the count is %d, want %d", got, base+5)
		}
		if _, err := st.Document(t.Context(), "d.json"); !errors.Is(err, poolkeeper.ErrNotFound) {
			t.Errorf("the document that was refused: %v", err)
		}
	})
}

// TestQueuedAtTheStart: what waits from the last process is on top of the base and of
// the store alike, once.
func TestQueuedAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		if err := store.Restore(t.Context(), filled(3)); err != nil {
			t.Fatal(err)
		}
		ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
		q := &queuer{faulty: &faulty{Store: store}}
		op := poolkeeper.QueuedOp{Entry: 1, Op: poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(ref.Type), ID: ref.ID, N: 7, At: time.Now().UnixMilli()}}
		q.waiting = []poolkeeper.QueuedOp{op}
		q.away.Store(true)
		snap := filled(3)
		b, err := replicaOver(q, snap)
		if err != nil {
			t.Fatal(err)
		}
		st := poolkeeper.New(b, nil)
		defer st.Close()
		base := snap.Provider(ref).Count(poolkeeper.UsageCount)
		if got := usageOf(t, st, ref); got != base+7 {
			t.Errorf("from the base: %d, want %d", got, base+7)
		}
		q.away.Store(false)
		time.Sleep(time.Second)
		if got := usageOf(t, st, ref); got != base+7 {
			t.Errorf("from the store: %d, want %d", got, base+7)
		}
		q.replay(t, 0)
		time.Sleep(time.Second)
		if got := usageOf(t, st, ref); got != base+7 {
			t.Errorf("replayed: %d, want %d", got, base+7)
		}
	})
}

// TestLiftedWhenCurrent: until the copy has what was queued from the store, that is
// shown, however long it takes.
func TestLiftedWhenCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, st, ref := queuing(t, 4*time.Second)
		base := usageOf(t, st, ref)
		q.cut()
		synctest.Wait()
		if _, err := st.Usage(t.Context(), ref, 5); err != nil {
			t.Fatal(err)
		}
		q.away.Store(false)
		time.Sleep(20 * time.Second)
		q.silent.Store(true) // nothing is told, and what is loaded takes long
		q.replay(t, 0)
		for range 200 {
			time.Sleep(50 * time.Millisecond)
			if v, err := st.View(t.Context()); err != nil || v.Provider(ref).Count(poolkeeper.UsageCount) != base+5 {
				t.Fatalf("the view has %d, want %d, %v", v.Provider(ref).Count(poolkeeper.UsageCount), base+5, err)
			}
		}
	})
}

// TestAnotherStoreIsFollowed: the store that was put in the place of another one has
// revisions of its own, and is followed at once.
func TestAnotherStoreIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, st, ref := queuing(t)
		direct := poolkeeper.New(q.Store, nil)
		for range 5 {
			if _, err := direct.Usage(t.Context(), ref, 1000); err != nil {
				t.Fatal(err)
			}
			if _, err := direct.PutToken(t.Context(), ref, fmt.Appendf(nil, `{"at":%d}`, time.Now().UnixNano()), poolkeeper.Always); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		next := memstore.New(nil)
		if err := next.Restore(t.Context(), filled(3)); err != nil {
			t.Fatal(err)
		}
		if _, err := poolkeeper.New(next, nil).PutToken(t.Context(), ref, []byte(`{"at":0}`), poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
		q.cut()
		synctest.Wait()
		was := q.Store
		q.Store = next
		q.away.Store(false)
		time.Sleep(time.Second)
		want := filled(3).Provider(ref).Count(poolkeeper.UsageCount)
		if got := usageOf(t, st, ref); got != want {
			t.Errorf("the count is %d, want %d", got, want)
		}
		if tok, err := st.Token(t.Context(), ref); err != nil || string(tok.Data) != `{"at":0}` {
			t.Errorf("the token is %s, %v", tok.Data, err)
		}
		was.Close()
	})
}

// Revisions begin again where another store was put in the place of the one that the
// first of what waits was applied by: what was read is not held back by numbers of that,
// and what is written is read.
func TestQueuedForTheStoreBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, st, ref := queuing(t)
		q.epoch, q.slow = "one", 50*time.Millisecond
		q.cut()
		time.Sleep(time.Second)
		if _, err := st.Usage(t.Context(), ref, 3); err != nil {
			t.Fatal(err)
		}
		// Applied by the store before, and more of it waits as that is lost.
		op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(ref.Type), ID: ref.ID, N: 1}
		first := poolkeeper.QueuedOp{Entry: q.entry.Add(1), Op: op}
		q.queued(first, false)
		q.settled(first, poolkeeper.Result{Status: poolkeeper.Applied, Revision: poolkeeper.Revision{Number: 1_000_000}})
		time.Sleep(time.Second)
		q.epoch = "two"
		q.away.Store(false)
		time.Sleep(5 * time.Second)
		q.replay(t, 0)
		time.Sleep(5 * time.Second)
		for range 20 {
			was := usageOf(t, st, ref)
			if _, err := st.Usage(t.Context(), ref, 1); err != nil {
				t.Fatal(err)
			}
			if got := usageOf(t, st, ref); got != was+1 {
				t.Fatalf("the count is %d after one more than %d was written", got, was)
			}
		}
	})
}

// TestHeldViewDoesNotRunAhead: who still has a view from before something was queued
// sees no more in it than the next view has.
func TestHeldViewDoesNotRunAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, st, ref := queuing(t)
		held, err := st.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		q.queued(poolkeeper.QueuedOp{Entry: 1, Op: poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(ref.Type), ID: ref.ID, N: 3}}, false)
		synctest.Wait()
		if _, err := poolkeeper.New(q.Store, nil).Usage(t.Context(), ref, 1000); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		before := held.Provider(ref).Count(poolkeeper.UsageCount)
		if now := usageOf(t, st, ref); now < before {
			t.Errorf("the view from before has %d, the next one %d", before, now)
		}
	})
}
