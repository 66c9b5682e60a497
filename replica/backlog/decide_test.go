package backlog

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// asides makes a backlog with four ops set aside, and one that waits.
func asides(t *testing.T, dir string) (b *Backlog, numbers []uint64) {
	t.Helper()
	b = opened(t, dir, nil)
	for i := range 4 {
		n := b.must(t, document(fmt.Sprint("d", i), fmt.Sprintf(`{"n":%d,"key":"FAKE-SECRET"}`, i)))
		if err := b.Resolve([]uint64{n}, []poolkeeper.Result{{Err: poolkeeper.Errorf(poolkeeper.ErrDamaged, "it is a list").WithHint("look at it")}}); err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	b.must(t, document("d2", `{"later":true}`))
	if err := b.Lose(poolkeeper.Loss{Key: poolkeeper.PoolKey("t"), Reason: "lost", Ops: 2, N: 3, First: 4, Last: 5}); err != nil {
		t.Fatal(err)
	}
	return b, numbers
}

// TestDecide: what is picked is queued again or given up whole, in the order in which
// it was queued first, or not at all where one of it is not set aside.
func TestDecide(t *testing.T) {
	dir := t.TempDir()
	b, numbers := asides(t, dir)
	before := b.text()
	for _, pick := range []poolkeeper.Pick{{Entries: append([]uint64{999}, numbers...)}, {Entries: []uint64{numbers[0], 999}}} {
		for what, do := range map[string]func() (poolkeeper.Decided, error){
			"retry":   func() (poolkeeper.Decided, error) { return b.RetryAside(t.Context(), pick) },
			"discard": func() (poolkeeper.Decided, error) { return b.DiscardAside(t.Context(), pick) },
		} {
			if done, err := do(); !errors.Is(err, poolkeeper.ErrNotFound) || !strings.Contains(err.Error(), "999") || done != (poolkeeper.Decided{}) {
				t.Errorf("%s of one that is not there: %+v, %v", what, done, err)
			}
		}
	}
	for _, pick := range []poolkeeper.Pick{{}, {Entries: []uint64{}}, {Entries: numbers, All: true}} {
		if _, err := b.RetryAside(t.Context(), pick); !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Errorf("%+v: %v", pick, err)
		}
		if _, err := b.DiscardAside(t.Context(), pick); !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Errorf("%+v: %v", pick, err)
		}
	}
	if got := b.text(); got != before {
		t.Errorf("what was refused has changed it:\n%s\nwas\n%s", got, before)
	}
	// Named twice is named once.
	if done, err := b.DiscardAside(t.Context(), poolkeeper.Pick{Entries: []uint64{numbers[1], numbers[1]}}); err != nil || done != (poolkeeper.Decided{Changed: 1, Aside: 3}) {
		t.Fatal(done, err)
	}
	told := map[poolkeeper.Key]bool{}
	b.Watch(Hooks{Waits: func(key poolkeeper.Key, on bool) { told[key] = on }})
	if done, err := b.RetryAside(t.Context(), poolkeeper.Pick{Entries: []uint64{numbers[3], numbers[2]}}); err != nil || done != (poolkeeper.Decided{Changed: 2, Aside: 1}) {
		t.Fatal(done, err)
	}
	if !told[poolkeeper.DocumentKey("d3")] {
		t.Error("nobody is told that the key has ops")
	}
	ops := b.Take(poolkeeper.DocumentKey("d2"), 10)
	if len(ops) != 2 || string(ops[0].Op.Data) != `{"later":true}` {
		t.Errorf("of the key there is %+v: the retried one belongs behind", ops)
	}
	if last := b.Take(poolkeeper.DocumentKey("d3"), 10); len(last) != 1 || last[0].Entry < ops[1].Entry {
		t.Errorf("%+v was queued before %+v", last, ops)
	}
	b.GiveBack(ops)
	after := b.text()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := opened(t, dir, nil).text(); got != after {
		t.Errorf("found is\n%s\nwas\n%s", got, after)
	}
}

// TestDecideAll picks all that there are, be it none.
func TestDecideAll(t *testing.T) {
	b, _ := asides(t, "")
	all := poolkeeper.Pick{All: true}
	if done, err := b.RetryAside(t.Context(), all); err != nil || done != (poolkeeper.Decided{Changed: 4}) {
		t.Error(done, err)
	}
	if done, err := b.DiscardAside(t.Context(), all); err != nil || done != (poolkeeper.Decided{}) {
		t.Error(done, err)
	}
	if s := b.State(); s.Ops != 5 || s.Aside != 0 {
		t.Errorf("%+v", s)
	}
	b.Close()
	if _, err := b.DiscardAside(t.Context(), all); !errors.Is(err, poolkeeper.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestPending: the running backlog and its files say the same of what waits, and
// nothing of what it holds.
func TestPending(t *testing.T) {
	dir := t.TempDir()
	b, numbers := asides(t, dir)
	live, err := b.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", live), fmt.Sprintf("%+v", in.Pending()); got != want || strings.Contains(got, "FAKE") {
		t.Errorf("it says\n%s\nand its files\n%s", got, want)
	}
	first := live.Aside[0]
	first.At = 0
	want := poolkeeper.AsideOp{Entry: numbers[0], Kind: poolkeeper.OpPut, Of: "document d0", Reason: "damaged", Text: first.Text}
	if first != want || !strings.Contains(first.Text, "it is a list") || live.Queue.Ops != 1 || live.Queue.Aside != 4 || !live.Queue.Durable || live.Dropped == nil || len(live.Lost) != 1 || live.Lost[0].N != 3 {
		t.Errorf("%+v", live)
	}
}
