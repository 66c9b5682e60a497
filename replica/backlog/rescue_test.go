package backlog

import (
	"fmt"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// order is the numbers and counts of what is replayed next of a pool.
func (b *Backlog) order(pool string) (s string) {
	ops := b.Take(poolkeeper.PoolKey(pool), 100)
	defer b.GiveBack(ops)
	for _, op := range ops {
		s += fmt.Sprintf("%d:%d ", op.Entry, op.Op.N)
	}
	return s
}

// What is rescued comes before what waits, the later rescue before the earlier one,
// also after the journal was written anew and read again; nothing is added to it,
// and what is lost for good is noted for ever.
func TestRescue(t *testing.T) {
	dir := t.TempDir()
	opts := &Options{SegmentBytes: 4 << 10}
	b := opened(t, dir, opts)
	b.must(t, use("x", "a", 1))
	b.must(t, use("y", "a", 1))
	rescue := func(ops ...poolkeeper.Op) {
		t.Helper()
		if err := b.Rescue(poolkeeper.PoolKey("x"), ops); err != nil {
			t.Fatal(err)
		}
	}
	rescue(use("x", "a", 10), use("x", "a", 11))
	b.must(t, use("x", "a", 2))
	rescue(use("x", "a", 20), use("x", "b", 21))
	b.must(t, use("x", "a", 4))
	b.must(t, use("x", "b", 5))
	const want = "6:20 7:21 3:10 4:11 1:7 9:5 "
	if got := b.order("x"); got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
	loss := poolkeeper.Loss{Key: poolkeeper.PoolKey("x"), Reason: "lost", Ops: 2, N: 5, First: 1, Last: 1}
	for i := range 2 {
		loss.First, loss.Last = int64(1+i), int64(1+i)
		if err := b.Lose(loss); err != nil {
			t.Fatal(err)
		}
	}
	for _, anew := range []bool{false, true} {
		if anew {
			for i := range 200 { // what comes after it, and is of no use any more
				n := b.must(t, document(fmt.Sprint(i), `{"filler":"filler"}`))
				if err := b.Resolve([]uint64{n}, []poolkeeper.Result{{Status: poolkeeper.Applied}}); err != nil {
					t.Fatal(err)
				}
			}
			first := b.journal.First()
			if err := b.compact(); err != nil {
				t.Fatal(err)
			}
			if b.journal.First() == first {
				t.Error("nothing was given up")
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = opened(t, dir, opts)
		if got := b.order("x"); got != want {
			t.Errorf("written anew %v: the order is %s, want %s", anew, got, want)
		}
		if got := b.Lost(); len(got) != 1 || got[0] != (poolkeeper.Loss{Key: loss.Key, Reason: "lost", Ops: 4, N: 10, First: 1, Last: 2}) || b.State().Lost != 4 {
			t.Errorf("written anew %v: lost %+v", anew, got)
		}
	}
	in, err := Inspect(dir)
	if err != nil || len(in.Lost) != 1 || in.State.Ops != 7 {
		t.Errorf("inspected: %+v, %v", in, err)
	}
}
