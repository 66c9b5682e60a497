package backlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/journal"
)

var ok = poolkeeper.Result{Status: poolkeeper.Applied}

// frozenOf makes a request of ops.
func frozenOf(ops ...poolkeeper.QueuedOp) *poolkeeper.Frozen {
	return &poolkeeper.Frozen{Key: ops[0].Op.Key, At: 5, Ops: ops, Request: []byte("bytes \x00\xff"), ProgramName: "p1", Program: []byte("source")}
}

// Increments of a provider that nothing else happened to between are one op.
func TestFold(t *testing.T) {
	b := opened(t, t.TempDir(), nil)
	keyed := use("x", "a", 1)
	keyed.IdempotencyKey = "k"
	reset := poolkeeper.Op{Kind: poolkeeper.OpReset, Key: poolkeeper.PoolKey("x"), ID: "old"}
	one := b.must(t, use("x", "a", 1))
	steps := []struct {
		op  poolkeeper.Op
		new bool // an op of its own
	}{
		{use("x", "a", 2), false}, {use("x", "b", 1), true}, {use("x", "a", 3), false}, {use("y", "a", 1), true},
		{keyed, true}, {use("x", "a", 1), true}, // the one with a key stands between
		{failed("x", "a"), true}, {use("x", "a", 1), true}, {use("x", "b", 1), false},
		{reset, true}, {use("x", "b", 1), true}, // it may be b under another id
		{use("x", "b", poolkeeper.MaxUsage), true}, {use("x", "b", 1), true},
	}
	before := uint64(0)
	for i, s := range steps {
		ops := b.State().Ops
		n := b.must(t, s.op)
		if got := b.State().Ops > ops; got != s.new {
			t.Errorf("step %d, %s of %s: an op of its own %t, want %t", i, s.op.Kind, s.op.ID, got, s.new)
		}
		before = max(before, n)
	}
	ops := b.Take(poolkeeper.PoolKey("x"), 100)
	if ops[0].Entry != one || ops[0].Op.N != 6 || ops[0].Op.At != 1003 {
		t.Errorf("the first one is %+v", ops[0])
	}
	if n := b.must(t, use("x", "b", 1)); n <= before {
		t.Error("an increment was added to one that a replay has")
	}
}

// The whole way of ops, with a restart after each step: what is there is what
// was there.
func TestWays(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir, nil)
	again := func(step string) {
		t.Helper()
		want := b.text()
		b.Close()
		b = opened(t, dir, nil)
		if got := b.text(); got != want {
			t.Fatalf("after %s there is\n%s\nwant\n%s", step, got, want)
		}
	}
	x := poolkeeper.PoolKey("x")
	b.must(t, use("x", "a", 1))
	b.must(t, use("x", "a", 2))
	b.must(t, failed("x", "a"))
	b.must(t, document("d.json", `{}`))
	if err := b.SetEpoch("e1"); err != nil {
		t.Fatal(err)
	}
	again("appending")
	ops := b.Take(x, 1)
	f := frozenOf(ops...)
	if err := b.Freeze(f); err != nil {
		t.Fatal(err)
	}
	again("freezing")
	if b.Take(x, 10) != nil {
		t.Error("ops go out beside a request on its way")
	}
	if got := b.Frozen(); len(got) != 1 || string(got[0].Request) != string(f.Request) || string(got[0].Program) != "source" || got[0].Ops[0].Op.N != 3 {
		t.Fatalf("frozen is %+v", got)
	}
	// A live request brings its ops along.
	live := frozenOf(poolkeeper.QueuedOp{Op: use("x", "b", 1)}, poolkeeper.QueuedOp{Op: use("x", "c", 1)})
	live.ProgramName, live.Program = "p2", []byte("another")
	if err := b.Freeze(live); err != nil {
		t.Fatal(err)
	}
	if live.Number == 0 || live.Ops[0].Entry == 0 || live.Ops[1].Entry <= live.Ops[0].Entry {
		t.Fatalf("the numbers are %+v", live)
	}
	again("freezing a live request")
	if err := b.Settle(b.Frozen()[0], []poolkeeper.Result{ok}); err != nil {
		t.Fatal(err)
	}
	again("settling")
	gone := poolkeeper.Result{Err: poolkeeper.Errorf(poolkeeper.ErrNotFound, "gone")}
	if err := b.Settle(b.Frozen()[0], []poolkeeper.Result{gone, {}}); err != nil {
		t.Fatal(err)
	}
	again("settling with a refusal")
	list := b.Aside()
	if len(list) != 1 || list[0].Reason != "not-found" || list[0].Op.ID != "b" || !errors.Is(list[0].Err, poolkeeper.ErrNotFound) {
		t.Fatalf("set aside are %+v", list)
	}
	if ops := b.Take(x, 10); len(ops) != 2 || ops[0].Op.Kind != poolkeeper.OpError || ops[1].Op.ID != "c" {
		t.Errorf("what is left is %+v", ops)
	}
	pick := poolkeeper.Pick{Entries: []uint64{list[0].Entry}}
	if done, err := b.RetryAside(t.Context(), pick); err != nil || done != (poolkeeper.Decided{Changed: 1}) {
		t.Fatal(done, err)
	}
	again("a retry")
	if _, err := b.RetryAside(t.Context(), pick); !errors.Is(err, poolkeeper.ErrNotFound) {
		t.Errorf("a second retry: %v", err)
	}
	ops = b.Take(x, 10)
	n := ops[len(ops)-1].Entry
	if n <= live.Number {
		t.Fatalf("the new number is %d", n)
	}
	b.GiveBack(ops)
	if err := b.Resolve([]uint64{n}, []poolkeeper.Result{gone}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.DiscardAside(t.Context(), poolkeeper.Pick{Entries: []uint64{n}}); err != nil {
		t.Fatal(err)
	}
	again("discarding")
	for _, key := range b.Keys() {
		ops := b.Take(key, 100)
		for _, op := range ops {
			if err := b.Resolve([]uint64{op.Entry}, []poolkeeper.Result{ok}); err != nil {
				t.Fatal(err)
			}
		}
	}
	again("all of it")
	if s := b.State(); s.Ops != 0 || s.Keys != 0 || s.Bytes != 0 || s.Aside != 0 {
		t.Errorf("in the end there is %+v", s)
	}
}

func TestFull(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir, &Options{MaxBytes: 2000})
	n := 0
	for ; n < 1000; n++ {
		if _, err := b.Append(context.Background(), document(fmt.Sprintf("d%d.json", n), `{}`)); err != nil {
			if !errors.Is(err, poolkeeper.ErrUnavailable) || !strings.Contains(err.Error(), "full") || poolkeeper.HintOf(err) == "" {
				t.Errorf("full: %v", err)
			}
			break
		}
	}
	if n < 5 || n == 1000 || b.State().Ops != n || len(b.Dropped()) > 0 {
		t.Errorf("%d ops fit, and there are %d", n, b.State().Ops)
	}
	// What is there goes on, and makes room.
	ops := b.Take(b.Keys()[0], 1)
	if err := b.Resolve([]uint64{ops[0].Entry}, []poolkeeper.Result{ok}); err != nil {
		t.Fatal(err)
	}
	b.must(t, document("d0.json", `{}`))
}

func TestDropOldest(t *testing.T) {
	dir := t.TempDir()
	opts := &Options{MaxBytes: 4000, DropOldest: true}
	b := opened(t, dir, opts)
	b.must(t, document("d.json", `{}`)) // the oldest, and no op on runtime state
	sent := b.must(t, use("x", "sent", 5))
	if err := b.Freeze(frozenOf(b.Take(poolkeeper.PoolKey("x"), 1)...)); err != nil {
		t.Fatal(err)
	}
	var given int64
	for i := range 200 {
		b.must(t, use("x", fmt.Sprintf("p%d", i%40), 1))
		b.must(t, failed("x", fmt.Sprintf("p%d", i%40)))
		given++
	}
	b.Close()
	b = opened(t, dir, opts)
	if !b.Waiting(sent) || !b.Has(poolkeeper.DocumentKey("d.json")) {
		t.Error("an op that was sent, or a document, was dropped")
	}
	var dropped, kept int64
	for _, d := range b.Dropped() {
		dropped += d.N
		if d.First == 0 || d.Ops == 0 {
			t.Errorf("the ledger says %+v", d)
		}
	}
	for _, e := range b.entries {
		if e.Op.Kind == poolkeeper.OpUsage && e.Entry != sent {
			kept += e.Op.N
		}
	}
	if dropped == 0 || dropped+kept != given {
		t.Errorf("%d increments were dropped and %d are there, of %d", dropped, kept, given)
	}
}

// Damage stops the opening, with file and offset; an op that another version has
// refused to write is kept, and will be set aside.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir, nil)
	for i := range 20 {
		b.must(t, document(fmt.Sprintf("d%d.json", i), `{}`))
	}
	b.Close()
	segments, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	data, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	data[200] ^= 1
	if err := os.WriteFile(segments[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	var corrupt *journal.CorruptError
	if _, err := Open(dir, nil); !errors.As(err, &corrupt) || corrupt.Offset == 0 || corrupt.File == "" {
		t.Errorf("damaged: %v", err)
	}
	for name, record := range map[string]string{"an unknown kind": "?", "no op": "o{", "a cut settlement": "s\x00"} {
		dir := t.TempDir()
		j, err := journal.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(context.Background(), nil, []byte(record)); err != nil {
			t.Fatal(err)
		}
		j.Close()
		if _, err := Open(dir, nil); !errors.Is(err, poolkeeper.ErrDamaged) || !strings.Contains(err.Error(), "record 1 of") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Many callers, and replays beside them: what was acknowledged and not settled is
// there afterwards, and nothing was settled that was not taken.
func TestCallersAndReplays(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		b := opened(t, dir, &Options{SegmentBytes: 4 << 10, Slack: 8 << 10})
		var mu sync.Mutex
		given, settled := map[string]int64{}, map[string]int64{}
		var callers, replays sync.WaitGroup
		stop := make(chan struct{})
		replays.Go(func() {
			for i := 0; ; i++ {
				for _, key := range b.Keys() {
					ops := b.Take(key, 7)
					if len(ops) == 0 {
						continue
					}
					f := frozenOf(ops...)
					if err := b.Freeze(f); err != nil {
						t.Error(err)
						return
					}
					results := make([]poolkeeper.Result, len(ops))
					for j := range ops {
						if (i+j)%3 > 0 {
							results[j] = ok
							mu.Lock()
							settled[ops[j].Op.ID] += ops[j].Op.N
							mu.Unlock()
						}
					}
					if err := b.Settle(f, results); err != nil {
						t.Error(err)
					}
					b.GiveBack(ops)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		for c := range 20 {
			callers.Go(func() {
				for i := range 100 {
					id := fmt.Sprintf("p%d", (c+i)%10)
					if _, err := b.Append(context.Background(), use("x", id, 1)); err != nil {
						t.Error(err)
					}
					mu.Lock()
					given[id]++
					mu.Unlock()
				}
			})
		}
		callers.Wait()
		close(stop)
		replays.Wait()
		b.working.Wait()
		if dir != "" {
			want := b.text()
			files := b.State().Files
			b.Close()
			b = opened(t, dir, nil)
			if got := b.text(); got != want {
				t.Errorf("after a restart there is\n%s\nwant\n%s", got, want)
			}
			if files > 200<<10 {
				t.Errorf("the files have %d bytes", files)
			}
		}
		for _, op := range b.Take(poolkeeper.PoolKey("x"), 10_000) {
			settled[op.Op.ID] += op.Op.N
		}
		for id, n := range given {
			if settled[id] != n {
				t.Errorf("of %s %d were given, and %d came out", id, n, settled[id])
			}
		}
	}
}

// Ops of a key come out in the order in which they were acknowledged.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir, &Options{SegmentBytes: 2 << 10, Slack: 4 << 10})
	var want, got []string
	for i := range 300 {
		op := document("d.json", fmt.Sprintf(`{"n":%d}`, i))
		b.must(t, op)
		want = append(want, string(op.Data))
		if i%50 == 49 {
			b.working.Wait()
			if err := b.compact(); err != nil {
				t.Fatal(err)
			}
			b.Close()
			b = opened(t, dir, &Options{SegmentBytes: 2 << 10, Slack: 4 << 10})
		}
	}
	for {
		ops := b.Take(poolkeeper.DocumentKey("d.json"), 17)
		if len(ops) == 0 {
			break
		}
		for _, op := range ops {
			got = append(got, string(op.Op.Data))
			if err := b.Resolve([]uint64{op.Entry}, []poolkeeper.Result{ok}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("they came out as %v", got)
	}
}

// An op on a value that stands behind another one was decided later, also where its
// caller began earlier, as it tried the store first.
func TestDecidedInOrder(t *testing.T) {
	b, err := Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	put := func(at int64) poolkeeper.Op {
		return poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.ConfigKey, Data: []byte(`{}`), At: at}
	}
	for _, at := range []int64{2000, 1000, 3000} {
		if _, err := b.Append(t.Context(), put(at)); err != nil {
			t.Fatal(err)
		}
	}
	var got []int64
	for _, op := range b.Take(poolkeeper.ConfigKey, 10) {
		got = append(got, op.Op.At)
	}
	if want := []int64{2000, 2000, 3000}; !slices.Equal(got, want) {
		t.Errorf("decided at %v, want %v", got, want)
	}
}
