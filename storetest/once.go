package storetest

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// once is an increment under an idempotency key.
func once(key string, op poolkeeper.Op) poolkeeper.Op {
	op.IdempotencyKey = key
	return op
}

// again fails where an op is not answered as it was the first time.
func (f *fixture) again(op poolkeeper.Op, first poolkeeper.Result) {
	f.Helper()
	r := f.do(op)
	if r.Count != first.Count || r.ID != first.ID || r.Changed != first.Changed || r.Healthy != first.Healthy {
		f.Errorf("sent again it is answered with %d of %q, changed %v; the first time with %d of %q, changed %v",
			r.Count, r.ID, r.Changed, first.Count, first.ID, first.Changed)
	}
}

var onceCases = []testCase{
	{"an increment under an idempotency key counts once", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, worn))
		before := f.provider(a).Count(poolkeeper.UsageCount)
		op := once("k", usage(a, 3))
		first := f.do(op)
		if first.Count != before+3 || first.ID != "a" || !first.Changed {
			t.Fatalf("the first time: %+v, before %d", first, before)
		}
		revision := f.pool("t").Revision
		later := op
		later.At += 60_000 // when it was decided is no part of what the key stands for
		f.again(later, first)
		if p := f.pool("t"); p.Revision != revision || p.Providers[0].Literal(poolkeeper.LastUsed) != iso(base) {
			t.Error("sent again, it changed something")
		}
		f.do(usage(a, 10), once("l", usage(a, 10)))
		f.again(op, first)
		if n := f.provider(a).Count(poolkeeper.UsageCount); n != before+23 {
			t.Errorf("usageCount %d, want %d", n, before+23)
		}
	}},
	{"an idempotency key counts once within a batch", func(t *testing.T, h Harness) {
		f := start(t, h)
		a, b := ref("t", "a"), ref("t", "b")
		f.do(add(a, ""), add(b, ""))
		rs := f.b.Apply(f.ctx, once("k", usage(a, 1)), once("k", usage(a, 1)), usage(a, 1), once("k", usage(b, 1)),
			once("k", usage(ref("t", "none"), 1)), once("l", usage(a, 1)))
		for i, want := range []int64{1, 1, 2, 0, 0, 3} {
			if want == 0 {
				if !errors.Is(rs[i].Err, poolkeeper.ErrReused) {
					t.Errorf("another increment: error %v, want %v", rs[i].Err, poolkeeper.ErrReused)
				}
			} else if rs[i].Err != nil || rs[i].Count != want {
				t.Errorf("op %d: count %d, error %v; want %d", i, rs[i].Count, rs[i].Err, want)
			}
		}
		if n := f.provider(a).Count(poolkeeper.UsageCount); n != 3 {
			t.Errorf("usageCount %d, want 3", n)
		}
	}},
	{"an idempotency key is not used for something else", func(t *testing.T, h Harness) {
		f := start(t, h)
		a, b := ref("t", "a"), ref("t", "b")
		f.do(add(a, ""), add(b, ""), add(ref("u", "a"), ""))
		first := f.do(once("k", usage(a, 1)))
		before := f.load()
		f.refuse(once("k", usage(a, 2)), poolkeeper.ErrReused)
		f.refuse(once("k", usage(b, 1)), poolkeeper.ErrReused)
		f.refuse(once("k", usage(ref("t", "none"), 1)), poolkeeper.ErrReused)
		f.same(before, "after increments under a key of another one")
		f.again(once("k", usage(a, 1)), first)
		for _, other := range []poolkeeper.Op{once("k", usage(ref("u", "a"), 7)), once("K", usage(a, 7))} {
			if r := f.apply(other); r.Err != nil || r.Count < 7 {
				t.Errorf("another pool, or another key: %+v", r)
			}
		}
	}},
	{"an increment that was refused has not used its idempotency key", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.refuse(once("k", usage(a, 1)), poolkeeper.ErrNotFound)
		f.do(add(a, `"usageCount":5`))
		if r := f.do(once("k", usage(a, 1))); r.Count != 6 {
			t.Errorf("count %d, want 6", r.Count)
		}
	}},
	{"an idempotency key outlives a rename, the provider and the pool", func(t *testing.T, h Harness) {
		f := start(t, h)
		a, odd := ref("t", "a"), ref("t", " 1:,;%2C\n=#?!>x")
		f.do(add(a, ""), add(odd, ""))
		op, oddOp := once("k", usage(a, 1)), once("o", usage(odd, 1))
		first, oddFirst := f.do(op), f.do(oddOp)
		if oddFirst.ID != odd.ID {
			t.Errorf("reached %q", oddFirst.ID)
		}
		f.do(rename(a, "b"))
		f.again(op, first)
		f.again(oddOp, oddFirst)
		old := once("old", usage(a, 1))
		moved := f.do(old)
		if moved.ID != "b" || moved.Count != 2 {
			t.Errorf("under the old id: %+v", moved)
		}
		f.again(old, moved)
		f.do(remove(ref("t", "b")))
		f.again(old, moved)
		f.do(removePool("t"))
		f.again(op, first)
		f.refuse(once("new", usage(a, 1)), poolkeeper.ErrNotFound)
	}},
	{"an idempotency key follows a rename", func(t *testing.T, h Harness) {
		f := start(t, h)
		a, other := ref("t", "a 1"), ref("t", "other")
		f.do(add(a, ""), add(other, ""))
		op := once("k", usage(a, 3))
		first := f.do(op)
		f.do(rename(a, "b"))
		between := once("between", usage(a, 1))
		second := f.do(between)
		if second.ID != "b" || second.Count != 4 {
			t.Fatalf("under the old id: %+v", second)
		}
		f.do(rename(ref("t", "b"), "c"))
		retries := func(when string) {
			t.Helper()
			before := f.load()
			for _, id := range []string{a.ID, "b", "c"} {
				r := ref("t", id)
				f.again(once("k", usage(r, 3)), first)
				f.again(once("between", usage(r, 1)), second)
				f.refuse(once("k", usage(r, 4)), poolkeeper.ErrReused)
			}
			f.refuse(once("k", usage(other, 3)), poolkeeper.ErrReused)
			f.refuse(once("k", usage(ref("t", "none"), 3)), poolkeeper.ErrReused)
			f.same(before, when)
		}
		retries("after two renames")
		// A retry under two ids in one batch, which counts then.
		for i, r := range f.b.Apply(f.ctx, once("l", usage(ref("t", "c"), 1)), once("l", usage(a, 1)), once("l", usage(ref("t", "b"), 1))) {
			if r.Err != nil || r.Count != 5 || r.ID != "c" {
				t.Errorf("op %d of a batch: %+v", i, r)
			}
		}
		f.do(remove(ref("t", "c")))
		retries("after its removal")
		// Who gets the old id is another provider.
		f.do(add(a, ""))
		f.again(op, first)
		f.refuse(once("k", usage(ref("t", "b"), 3)), poolkeeper.ErrReused)
	}},
	{"an idempotency key counts for a day", func(t *testing.T, h Harness) {
		if !h.OwnClock {
			return // the clock is not ours: a fact that the harness declares
		}
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, ""))
		op := once("k", usage(a, 1))
		first := f.do(op)
		f.clock.advance(poolkeeper.IdempotencyLife*time.Millisecond - time.Minute)
		f.again(op, first)
		f.clock.advance(2 * time.Minute)
		if r := f.do(op); r.Count != 2 {
			t.Errorf("after a day it is answered with %d, want 2", r.Count)
		}
		f.again(op, poolkeeper.Result{Count: 2, ID: "a", Changed: true})
	}},
	{"an idempotency key that cannot be one is refused", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, ""))
		before := f.load()
		for _, key := range []string{" ", "a b", "a\n", "é", "\x7f", "\xff", "\x00"} {
			f.refuse(once(key, usage(a, 1)), poolkeeper.ErrInvalid)
		}
		f.refuse(once(strings.Repeat("k", poolkeeper.MaxKey+1), usage(a, 1)), poolkeeper.ErrTooLarge)
		for _, op := range []poolkeeper.Op{on(poolkeeper.OpError, a), on(poolkeeper.OpSuccess, a), on(poolkeeper.OpReset, a),
			merge(a, `{"x":1}`), putValue(poolkeeper.ConfigKey, "{}"), reorderTypes("t")} {
			f.refuse(once("k", op), poolkeeper.ErrInvalid)
		}
		f.same(before, "after keys that cannot be one")
		f.do(once(strings.Repeat("~", poolkeeper.MaxKey), usage(a, 1)), once("!", usage(a, 1)))
	}},
	{"concurrent retries of one increment count once", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, ""))
		const rounds = 20
		var sum atomic.Int64
		f.together(clients, func(_ int, b poolkeeper.Backend) {
			for n := range rounds {
				r := b.Apply(f.ctx, once("k"+strconv.Itoa(n), usage(a, 1)))[0]
				if r.Err != nil {
					t.Errorf("round %d: %v", n, r.Err)
				}
				sum.Add(r.Count)
			}
		})
		if n := f.provider(a).Count(poolkeeper.UsageCount); n != rounds {
			t.Errorf("usageCount %d, want %d", n, rounds)
		}
		// Each increment has one count, whoever was told.
		if want := int64(clients * rounds * (rounds + 1) / 2); sum.Load() != want {
			t.Errorf("the answers sum up to %d, want %d", sum.Load(), want)
		}
	}},
	{"what was counted under an idempotency key is so for the next handle", func(t *testing.T, h Harness) {
		if h.Reopen == nil {
			return // data do not outlive a handle: a fact that the harness declares
		}
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, ""))
		op := once("k", usage(a, 2))
		first := f.do(op)
		if !h.Shared {
			f.b.Close()
		}
		next := h.Reopen(t, f.b)
		t.Cleanup(func() { next.Close() })
		f.b = next
		f.again(op, first)
		if n := f.provider(a).Count(poolkeeper.UsageCount); n != 2 {
			t.Errorf("usageCount %d, want 2", n)
		}
	}},
}
