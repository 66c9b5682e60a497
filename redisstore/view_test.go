package redisstore_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// What a lane knows of the counters from its last batch is written without
// being read again, and only as long as nobody has changed the pool since.
func TestStaleViewIsNotWritten(t *testing.T) {
	const own, other = 0, 1
	type step struct {
		by int
		op poolkeeper.Op
	}
	srv := redistest.Start(t)
	for _, c := range []struct {
		name  string
		steps []step
		want  int64 // the count that the last step, an increment of b, answers
	}{
		{"nothing between", []step{{own, useOp("b", 3)}, {own, useOp("b", 1)}}, 4},
		{"a decision first", []step{{own, successOp("b")}, {own, useOp("b", 1)}}, 2},
		{"a decision on another one first", []step{{other, useOp("b", 3)}, {own, successOp("c")}, {own, useOp("b", 1)}}, 4},
		{"another writer's increment", []step{{own, useOp("b", 3)}, {other, useOp("b", 1)}, {own, useOp("b", 1)}}, 5},
		{"another writer's increment, seen by the first of another one", []step{
			{own, useOp("b", 3)}, {other, useOp("b", 1)}, {own, useOp("c", 1)}, {own, useOp("b", 1)}}, 5},
		{"another writer's increment, seen by a batch of others", []step{
			{own, useOp("b", 3)}, {own, useOp("c", 1)}, {other, useOp("b", 1)}, {own, useOp("c", 1)}, {own, useOp("b", 1)}}, 5},
		{"another writer's increment, seen by a decision", []step{
			{own, useOp("b", 3)}, {other, useOp("b", 1)}, {own, errorOp("c")}, {own, useOp("b", 1)}}, 5},
		{"another writer's increment, seen by a decision that changed nothing", []step{
			{own, poolOp(poolkeeper.OpReset, "c")}, {own, useOp("b", 3)}, {other, useOp("b", 1)},
			{own, poolOp(poolkeeper.OpReset, "c")}, {own, useOp("b", 1)}}, 5},
		{"a reset", []step{{own, useOp("b", 3)}, {own, resetCount("b")}, {own, useOp("b", 1)}}, 1},
		{"a success that counts", []step{{own, useOp("b", 3)}, {own, successOp("b")}, {own, useOp("b", 1)}}, 5},
		{"a deletion", []step{{own, useOp("b", 3)}, {own, poolOp(poolkeeper.OpDeleteProvider, "b")},
			{own, defineOp(poolkeeper.OpAddProvider, "b", `,"usageCount":10`)}, {own, useOp("b", 1)}}, 11},
		{"a replaced pool", []step{{own, useOp("b", 3)}, {own, replaceOp("a", "c")}, {own, replaceOp("a", "b")}, {own, useOp("b", 1)}}, 1},
		{"another writer's rename", []step{{own, useOp("c", 3)},
			{other, poolkeeper.Op{Kind: poolkeeper.OpDeleteProvider, Key: kiro, ID: "b", At: rigAt}},
			{other, poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "c", NewID: "b", At: rigAt}}, {own, useOp("b", 1)}}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv.FlushAll()
			r := rigOn(t, srv)
			writers := []*redisstore.Store{r.b, r.open(srv.SocketURL())}
			var res poolkeeper.Result
			for _, s := range c.steps {
				res = r.must(writers[s.by], s.op)
			}
			if res.Count != c.want {
				t.Errorf("the increment answers %d, want %d", res.Count, c.want)
			}
			if got := r.usageOf("b"); got != strconv.FormatInt(c.want, 10) {
				t.Errorf("the counter is %s, want %d", got, c.want)
			}
		})
	}
}

func resetCount(id string) poolkeeper.Op {
	op := poolOp(poolkeeper.OpReset, id)
	op.Usage = true
	return op
}

func successOp(id string) poolkeeper.Op {
	op := poolOp(poolkeeper.OpSuccess, id)
	op.Usage, op.N = true, 1
	return op
}

// The time of the last use goes forward, from a view too.
func TestViewKeepsTheLaterTime(t *testing.T) {
	r := newRig(t)
	at := func(ms int64) poolkeeper.Op {
		op := useOp("b", 1)
		op.At = ms
		return op
	}
	for _, ms := range []int64{rigAt, rigAt + 2000, rigAt + 1000, rigAt} {
		r.must(r.b, at(ms))
	}
	if got := r.srv.DoString("HGET", "t:state:{"+rigPool+"}", "b:lastUsed"); got != `"2026-01-25T10:30:02.000Z"` {
		t.Errorf("lastUsed is %s", got)
	}
	if got := r.usageOf("b"); got != "4" {
		t.Errorf("usageCount is %s", got)
	}
}

// A lone writer's increments do not read the state.
func TestViewSavesReading(t *testing.T) {
	r := newRig(t)
	for range 3 {
		r.must(r.b, useOp("b", 1))
	}
	r.srv.Do("CONFIG", "RESETSTAT")
	const n = 10
	for range n {
		r.must(r.b, useOp("b", 1))
	}
	stat := r.srv.Info("commandstats")["cmdstat_hmget"]
	if !strings.HasPrefix(stat, "calls="+strconv.Itoa(n)+",") { // of ctl
		t.Errorf("%d increments took HMGET %s", n, stat)
	}
}

// A batch from a view that was applied and had its reply lost is answered as it
// was, although another writer has counted meanwhile.
func TestViewSentAgain(t *testing.T) {
	r := newRig(t)
	tap := startTap(t, r.srv.Socket())
	b := r.open(tap.url())
	info, err := b.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.must(b, useOp("b", 3))
	tap.arm(redistest.FaultCutAfter, 2, info.Writer)
	if res := r.must(b, useOp("b", 1)); res.Count != 4 {
		t.Errorf("the increment whose reply was lost answers %d, want 4", res.Count)
	}
	if n := tap.counted(); n != 2 {
		t.Fatalf("the fault occurred %d times, want 2", n)
	}
	r.must(r.b, useOp("b", 1))
	if res := r.must(b, useOp("b", 1)); res.Count != 6 {
		t.Errorf("the next one answers %d, want 6", res.Count)
	}
}
