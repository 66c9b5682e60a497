package backlog

import (
	"errors"
	"fmt"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// order is the numbers and counts of what is replayed next of a pool.
func (b *Backlog) order(pool string) (s string) {
	ops := b.Take(poolkeeper.PoolKey(pool), 100)
	defer b.GiveBack(ops)
	for _, op := range ops {
		s += fmt.Sprintf("%d:%d%s ", op.Entry, op.Op.N, op.Origin)
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
		var lost []poolkeeper.QueuedOp
		for _, op := range ops {
			lost = append(lost, poolkeeper.QueuedOp{Op: op, Origin: fmt.Sprint("o", len(ops))})
		}
		if err := b.Rescue(poolkeeper.PoolKey("x"), lost); err != nil {
			t.Fatal(err)
		}
	}
	rescue(use("x", "a", 10), use("x", "a", 11), use("x", "c", 12))
	b.must(t, use("x", "a", 2))
	rescue(use("x", "a", 20), use("x", "b", 21))
	b.must(t, use("x", "a", 4))
	b.must(t, use("x", "b", 5))
	const want = "8:20o2 9:21o2 4:10o3 5:11o3 6:12o3 2:7 11:5 "
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
	if err != nil || len(in.Lost) != 1 || in.State.Ops != 8 {
		t.Errorf("inspected: %+v, %v", in, err)
	}
}

// Ops with one origin are taken together. What is left of them, when others of them
// were settled, has it no more; where none was, all have.
func TestOriginOfThoseTogether(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir, nil)
	x := poolkeeper.PoolKey("x")
	var lost []poolkeeper.QueuedOp
	for i := range 4 {
		lost = append(lost, poolkeeper.QueuedOp{Op: use("x", fmt.Sprint("p", i), 1), Origin: []string{"one", "two"}[i/3]})
	}
	if err := b.Rescue(x, lost); err != nil {
		t.Fatal(err)
	}
	b.must(t, use("x", "p", 1))
	took := b.Take(x, 1)
	if len(took) != 3 || took[2].Origin != "one" || took[2].Entry != lost[2].Entry {
		t.Fatalf("taken is %+v", took)
	}
	settle := func(results ...poolkeeper.Result) {
		t.Helper()
		f := frozenOf(took...)
		if err := b.Freeze(f); err != nil {
			t.Fatal(err)
		}
		if err := b.Settle(f, results); err != nil {
			t.Fatal(err)
		}
	}
	again := func(want string) {
		t.Helper()
		b.GiveBack(took)
		for range 2 {
			if got := b.order("x"); got != want {
				t.Errorf("the order is %s, want %s", got, want)
			}
			b.Close()
			b = opened(t, dir, nil)
		}
	}
	settle(make([]poolkeeper.Result, 3)...)
	again("2:1one 3:1one 4:1one 5:1two 6:1 ")
	took = b.Take(x, 3)
	settle(poolkeeper.Result{}, ok, poolkeeper.Result{})
	again("2:1 4:1 5:1two 6:1 ")
}

// Ops that a replay has taken do not go out before others that are rescued then.
func TestRescuedIsNotOvertaken(t *testing.T) {
	b := opened(t, "", nil)
	x := poolkeeper.PoolKey("x")
	b.must(t, use("x", "a", 1))
	b.must(t, use("x", "b", 2))
	took := b.Take(x, 10)
	if err := b.Rescue(x, []poolkeeper.QueuedOp{{Op: use("x", "a", 3)}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Freeze(frozenOf(took...)); !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Errorf("what was taken before it: %v", err)
	}
	b.GiveBack(took)
	if err := b.Freeze(frozenOf(poolkeeper.QueuedOp{Op: use("x", "c", 9)})); err != nil {
		t.Errorf("what a caller has sent: %v", err)
	}
	took = b.Take(x, 10)
	if len(took) != 0 {
		t.Fatalf("taken is %+v", took)
	}
}

// A replay that has all of them sends one request behind the other.
func TestRescuedInOrder(t *testing.T) {
	b := opened(t, "", nil)
	x := poolkeeper.PoolKey("x")
	b.must(t, use("x", "a", 1))
	if err := b.Rescue(x, []poolkeeper.QueuedOp{{Op: use("x", "a", 3)}}); err != nil {
		t.Fatal(err)
	}
	took := b.Take(x, 10)
	for i := range took {
		if err := b.Freeze(frozenOf(took[i])); err != nil || took[0].Op.N != 3 {
			t.Errorf("%+v: %v", took[i], err)
		}
	}
}
