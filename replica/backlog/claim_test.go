package backlog

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

func (b *Backlog) claimNow(t *testing.T) poolkeeper.Claim {
	t.Helper()
	c, err := b.Claim()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// copied is another backlog on a copy of a directory.
func copied(t *testing.T, dir string) *Backlog {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return opened(t, to, nil)
}

// The name of a journal, and the marks that the store may have, survive the process
// and compaction.
func TestClaimSurvives(t *testing.T) {
	dir := t.TempDir()
	opts := &Options{SegmentBytes: 4 << 10}
	b := opened(t, dir, opts)
	b.must(t, use("x", "a", 1))
	first := b.claimNow(t)
	if first.Journal == "" || first.Mark.Generation != 1 || first.Mark.Nonce == "" || len(first.Known) != 0 {
		t.Fatalf("the first claim is %+v", first)
	}
	b.Claimed(first)
	known := []poolkeeper.Mark{first.Mark}
	for _, how := range []string{"as it is", "opened again", "written anew", "written anew and opened again"} {
		if strings.HasPrefix(how, "written anew") {
			for range 200 { // what is of no use any more
				if err := b.Resolve([]uint64{b.must(t, document("d.json", `{"filler":"filler"}`))}, []poolkeeper.Result{ok}); err != nil {
					t.Fatal(err)
				}
			}
			at := b.journal.First()
			if err := b.compact(); err != nil || b.journal.First() == at {
				t.Fatalf("nothing was given up: %v", err)
			}
		}
		if strings.HasSuffix(how, "opened again") {
			b.Close()
			b = opened(t, dir, opts)
		}
		c := b.claimNow(t) // of which nobody hears what it came to
		if c.Journal != first.Journal || c.Mark.Generation != uint64(len(known)+1) || !slices.Equal(c.Known, known) {
			t.Errorf("%s: %+v, want generation %d of %s after %v", how, c, len(known)+1, first.Journal, known)
		}
		for _, m := range known {
			if m.Nonce == c.Mark.Nonce {
				t.Errorf("%s: the nonce was there before", how)
			}
		}
		known = append(known, c.Mark)
	}
	last := b.claimNow(t)
	b.Claimed(last)
	if c := b.claimNow(t); !slices.Equal(c.Known, []poolkeeper.Mark{last.Mark}) {
		t.Errorf("after a claim that the store has, known are %v, want %v", c.Known, last.Mark)
	}
}

// Claims whose outcome is never known do not grow without bound.
func TestClaimsAreBounded(t *testing.T) {
	b := opened(t, t.TempDir(), nil)
	b.must(t, use("x", "a", 1))
	for range 3 * maxMarks {
		b.claimNow(t)
	}
	size := b.journal.Size()
	if c, again := b.claimNow(t), b.claimNow(t); len(c.Known) != maxMarks || again.Mark != c.Mark || b.journal.Size() != size {
		t.Errorf("after many claims: %d are known; again it is %v, before %v", len(c.Known), again.Mark, c.Mark)
	}
}

// Copies of a journal in which something waits have one name, from its first op on;
// copies of one in which nothing is have none.
func TestCopiesAndTheirNames(t *testing.T) {
	for what, fill := range map[string]func(*Backlog) error{
		"an op": func(b *Backlog) error { b.must(t, use("x", "a", 1)); return nil },
		"a request": func(b *Backlog) error {
			return b.Freeze(frozenOf(poolkeeper.QueuedOp{Op: use("x", "a", 1)}))
		},
		"a rescue": func(b *Backlog) error {
			return b.Rescue(poolkeeper.PoolKey("x"), []poolkeeper.QueuedOp{{Op: use("x", "a", 1)}})
		},
		"an op set aside": func(b *Backlog) error {
			return b.Resolve([]uint64{b.must(t, use("x", "a", 1))}, []poolkeeper.Result{{Err: poolkeeper.ErrNotFound}})
		},
		"nothing any more": func(b *Backlog) error {
			return b.Resolve([]uint64{b.must(t, use("x", "a", 1))}, []poolkeeper.Result{ok})
		},
		"the epoch": func(b *Backlog) error { return b.SetEpoch("e") },
	} {
		dir := t.TempDir()
		b := opened(t, dir, nil)
		if err := fill(b); err != nil {
			t.Fatal(err)
		}
		one, two := copied(t, dir).claimNow(t), copied(t, dir).claimNow(t)
		if same := what != "nothing any more" && what != "the epoch"; (one.Journal == two.Journal) != same {
			t.Errorf("%s: two copies have the names %s and %s", what, one.Journal, two.Journal)
		}
		if here := b.claimNow(t).Journal; here != one.Journal && what != "nothing any more" && what != "the epoch" {
			t.Errorf("%s: the journal has the name %s, and a copy %s", what, here, one.Journal)
		}
		if one.Mark.Nonce == two.Mark.Nonce {
			t.Errorf("%s: two copies have the same nonce", what)
		}
	}
}

// What waits in a journal that was disowned is set aside, also when it is opened again
// or was written anew; what comes later is not, and is never added to it.
func TestDisowned(t *testing.T) {
	for _, how := range []string{"at once", "opened again", "written anew"} {
		dir := t.TempDir()
		b := opened(t, dir, nil)
		b.must(t, use("x", "a", 1))
		b.must(t, use("z", "a", 1))
		f := frozenOf(poolkeeper.QueuedOp{Op: use("y", "a", 1)})
		if err := b.Freeze(f); err != nil {
			t.Fatal(err)
		}
		before := b.claimNow(t)
		if n, err := b.Disown(); n != 3 || err != nil {
			t.Fatalf("disowned %d ops, %v", n, err)
		}
		later := b.must(t, use("x", "a", 10))
		switch how {
		case "written anew":
			if err := b.compact(); err != nil {
				t.Fatal(err)
			}
			fallthrough
		case "opened again":
			b.Close()
			b = opened(t, dir, nil)
		}
		b.must(t, use("z", "a", 10))
		if after := b.claimNow(t); after.Journal == before.Journal || len(after.Known) != 0 {
			t.Errorf("%s: claimed %+v, after %+v", how, after, before)
		}
		if err := b.Settle(f, []poolkeeper.Result{{}}); err != nil { // it goes on
			t.Fatal(err)
		}
		for pool, want := range map[string]int{"x": 1, "y": 1, "z": 1} {
			ops := b.Take(poolkeeper.PoolKey(pool), 100)
			if n, err := b.Doubtful(ops); n != want || err != nil {
				t.Errorf("%s: of %d ops of %s %d are in doubt, %v", how, len(ops), pool, n, err)
			}
			if pool != "y" && len(ops) != 2 {
				t.Errorf("%s: of %s there are %+v", how, pool, ops)
			}
			b.GiveBack(ops)
		}
		left := b.Take(poolkeeper.PoolKey("x"), 100)
		if n, err := b.Doubtful(left); n != 0 || err != nil || len(left) != 1 || left[0].Op.N != 10 || left[0].Entry != later {
			t.Errorf("%s: what came later is %+v, %d in doubt, %v", how, left, n, err)
		}
		b.GiveBack(left)
		aside := b.Aside()
		if len(aside) != 3 || aside[0].Reason != "indeterminate" || !strings.Contains(aside[0].Err.Error(), dir) || !strings.Contains(poolkeeper.HintOf(aside[0].Err), "journal retry") {
			t.Fatalf("%s: set aside are %+v", how, aside)
		}
		if _, err := b.RetryAside(t.Context(), poolkeeper.Pick{All: true}); err != nil {
			t.Fatal(err)
		}
		ops := b.Take(poolkeeper.PoolKey("x"), 100)
		if n, err := b.Doubtful(ops); n != 0 || err != nil || len(ops) != 2 {
			t.Errorf("%s: tried again, %d of %d ops are in doubt, %v", how, n, len(ops), err)
		}
		b.GiveBack(ops)
	}
}
