package redisstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// soon makes a command time out soon.
func soon(o *redisstore.Options) {
	o.CommandTimeout, o.RetryFor = 150*time.Millisecond, 5*time.Second
}

// eventually waits for something that comes by itself.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// empty waits until the spool has nothing any more.
func (s *fileSpool) empty(t *testing.T) {
	t.Helper()
	eventually(t, "the spool gets empty", func() bool {
		ops, frozen := s.left()
		return len(ops) == 0 && len(frozen) == 0
	})
}

// An op whose answer does not come is queued in the request in which it was
// sent, and counts once, whether that was executed or not.
func TestSpoolFreezesWhatWasSent(t *testing.T) {
	for name, lose := range map[string]func(*redistest.Proxy, int){
		"not executed": func(p *redistest.Proxy, n int) { p.CutBeforeRequest(n, "EVALSHA", "EVAL") },
		"executed":     func(p *redistest.Proxy, n int) { p.CutAfterRequest(n, "EVALSHA", "EVAL") },
		"half a reply": func(p *redistest.Proxy, n int) { p.CutMidReply(n, "EVALSHA", "EVAL") },
	} {
		t.Run(name, func(t *testing.T) {
			r, s := newRig(t), newSpool(t)
			proxy, b := r.proxied(soon, s.option)
			r.must(b, useOp("b", 1))
			frozen := make(chan struct{}, 1)
			s.at = func(step string) {
				if step == "after freeze" {
					proxy.Clear()
					frozen <- struct{}{}
				}
			}
			lose(proxy, 1_000_000)
			res := r.must(b, useOp("b", 10))
			if res.Status != poolkeeper.Queued || res.ID != "b" {
				t.Errorf("an increment without an answer was answered %+v", res)
			}
			<-frozen
			// Later ops of the key are for the layer above to queue, until it says otherwise.
			r.refused(b, useOp("b", 100), poolkeeper.ErrUnavailable)
			s.empty(t)
			r.refused(b, useOp("b", 100), poolkeeper.ErrUnavailable)
			b.Hold(kiro, false)
			if res := r.must(b, useOp("b", 100)); res.Count != 111 || res.Status != poolkeeper.Applied {
				t.Errorf("afterwards the counter is %d (%s), want 111", res.Count, res.Status)
			}
			if got, ok := s.result(2); !ok || got.Status != poolkeeper.Applied || got.Count != 11 {
				t.Errorf("the spool was told %+v", got)
			}
		})
	}
}

// With a server that is stopped, callers hear within the command's time: those
// whose op was sent that it is queued, the others that theirs surely was not
// applied. What they were told is so.
func TestSpoolWithAStoppedServer(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	b := r.open(r.srv.SocketURL(), soon, s.option)
	for _, id := range []string{"a", "b", "c"} {
		r.must(b, useOp(id, 1))
	}
	r.srv.Pause()
	var wg sync.WaitGroup
	var mu sync.Mutex
	said := map[string]int{}
	for i := range 60 {
		wg.Go(func() {
			res := b.Apply(t.Context(), useOp([]string{"b", "c"}[i%2], 1))[0]
			mu.Lock()
			defer mu.Unlock()
			switch {
			case res.Err == nil:
				said[string(res.Status)]++
			case errors.Is(res.Err, poolkeeper.ErrUnavailable):
				said["unavailable"]++
			default:
				t.Errorf("increment: %v", res.Err)
			}
		})
	}
	wg.Wait()
	if said["queued"] == 0 || said["unavailable"] == 0 || said["applied"] > 0 {
		t.Errorf("60 callers were told %v", said)
	}
	r.srv.Resume()
	s.empty(t)
	var got int
	for _, id := range []string{"b", "c"} {
		n, _ := strconv.Atoi(r.usageOf(id))
		got += n - 1
	}
	if got != said["queued"] {
		t.Errorf("%d increments were counted, and %d acknowledged", got, said["queued"])
	}
}

// Both flights of a lane can be without an answer.
func TestSpoolBothFlights(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	tap := startTap(t, r.srv.Socket())
	b := r.open(tap.url(), soon, s.option)
	r.must(b, useOp("b", 1))
	r.must(b, useOp("c", 1))
	blocker := poolOp(poolkeeper.OpHealth, "a")
	blocker.Model = new("blocker")
	before, first, second := tap.hold("blocker"), tap.hold("EVALSHA"), tap.hold("EVALSHA")
	var wg sync.WaitGroup
	wg.Go(func() { r.must(b, blocker) })
	before.waitHeld(t)
	for i := range 40 {
		wg.Go(func() {
			if res := r.must(b, useOp([]string{"b", "c"}[i%2], 1)); res.Status != poolkeeper.Queued {
				t.Errorf("an increment was answered %+v", res)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // they wait in the lane
	before.letGo()
	first.waitHeld(t)
	second.waitHeld(t)
	wg.Wait()
	if s.freezes != 2 {
		t.Errorf("%d requests were frozen, want 2", s.freezes)
	}
	first.letGo()
	second.letGo()
	s.empty(t)
	if b, c := r.usageOf("b"), r.usageOf("c"); b != "21" || c != "21" {
		t.Errorf("the counters are %s and %s, want 21", b, c)
	}
}

// What a Replay sends is durable before it is sent, the later requests of a batch
// too.
func TestReplayFreezesFirst(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	b := r.open(r.srv.SocketURL(), soon, s.option)
	r.must(r.b, poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "c", NewID: "c2", At: rigAt})
	var seen []string
	s.at = func(step string) {
		if step == "after freeze" {
			seen = append(seen, r.usageOf("a")+"/"+r.usageOf("b")+"/"+r.usageOf("c2"))
		}
	}
	// a is counted for the first time, and has to be read; c has another id by now.
	ops := s.add(useOp("b", 1), useOp("a", 1), useOp("c", 1), useOp("b", 1))
	for i, res := range b.Replay(t.Context(), ops) {
		if res.Err != nil || res.Status != poolkeeper.Applied {
			t.Errorf("op %d: %+v", i, res)
		}
	}
	if len(seen) < 2 || seen[0] != "//" {
		t.Errorf("when requests were frozen the counters were %q", seen)
	}
	if got := r.usageOf("a") + "/" + r.usageOf("b") + "/" + r.usageOf("c2"); got != "6/2/1" {
		t.Errorf("the counters are %s, want 6/2/1", got)
	}
	s.empty(t)
}

// However many ops there are, and of however many providers, a script is given no
// more than it can take.
func TestReplayOfManyProviders(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	b := r.open(r.srv.SocketURL(), s.option)
	const many = 5000
	ids := make([]string, many)
	var first, second []poolkeeper.Op
	for i := range ids {
		ids[i] = fmt.Sprintf("p%d", i)
		first, second = append(first, useOp(ids[i], 1)), append(second, useOp(ids[i], 2))
	}
	r.must(r.b, replaceOp(ids...))
	for _, ops := range [][]poolkeeper.Op{first, second} {
		for i, res := range b.Replay(t.Context(), s.add(ops...)) {
			if res.Err != nil {
				t.Fatalf("op %d: %v", i, res.Err)
			}
		}
	}
	for _, id := range []string{ids[0], ids[many/2], ids[many-1]} {
		if got := r.usageOf(id); got != "3" {
			t.Errorf("the counter of %s is %s, want 3", id, got)
		}
	}
}

// An op that is refused does not keep the others from being applied.
func TestReplayTellsEachOutcome(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	b := r.open(r.srv.SocketURL(), soon, s.option)
	ops := s.add(useOp("b", 1), useOp("gone", 1), errorOp("b"), patchOp(poolkeeper.ConfigKey, `{"x":1}`))
	ops[3].Op = defineOp(poolkeeper.OpPatchProvider, "gone", "")
	ops[3].Op.Patch, ops[3].Op.Data = poolkeeper.MergePatch, []byte(`{"x":1}`)
	ops = append(ops, s.add(defineOp(poolkeeper.OpPutProvider, "b", `,"n":1`), useOp("b", 1))...)
	want := []error{nil, poolkeeper.ErrNotFound, nil, poolkeeper.ErrNotFound, nil, nil}
	for i, res := range b.Replay(t.Context(), ops) {
		if !errors.Is(res.Err, want[i]) {
			t.Errorf("op %d: %v, want %v", i, res.Err, want[i])
		}
		if settled, ok := s.result(ops[i].Entry); i != 3 && (!ok || !errors.Is(settled.Err, want[i])) {
			t.Errorf("op %d: the spool was told %+v", i, settled)
		}
	}
	if got := r.usageOf("b"); got != "2" {
		t.Errorf("the counter is %s, want 2", got)
	}
}

// A queued decision that was taken before one that the store has changes nothing
// of the health group, and counts what it counts.
func TestReplayOfAnEarlierDecision(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	b := r.open(r.srv.SocketURL(), soon, s.option)
	bad, good := poolOp(poolkeeper.OpError, "b"), poolOp(poolkeeper.OpSuccess, "b")
	bad.Immediate, bad.Threshold = true, 3
	bad.At = rigAt + 5000
	good.At, good.N = rigAt+1000, 7
	r.must(r.b, bad)
	if res := b.Replay(t.Context(), s.add(good))[0]; res.Err != nil || res.Healthy || res.Count != 7 {
		t.Errorf("an earlier success: %+v", res)
	}
	field := func(f string) string { return r.srv.DoString("HGET", "t:state:{"+rigPool+"}", "b:"+f) }
	if field("isHealthy") != "false" || field("errorCount") != "3" || field("usageCount") != "7" {
		t.Errorf("the provider is healthy %s, with %s errors and %s uses", field("isHealthy"), field("errorCount"), field("usageCount"))
	}
	good.At = rigAt + 9000
	if res := b.Replay(t.Context(), s.add(good))[0]; res.Err != nil || !res.Healthy || res.Count != 14 {
		t.Errorf("a later success: %+v", res)
	}
}

// A request that cannot be made durable is not sent, and what it is of stays
// queued; an outcome that cannot be keeps the lane from going on.
func TestSpoolThatFails(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	b := r.open(r.srv.SocketURL(), soon, s.option)
	full := errors.New("no room")
	once := full // the ops behind it could be frozen
	s.err = func(step string) (err error) {
		if step == "freeze" {
			err, once = once, nil
		}
		return err
	}
	r.unchanged("a Replay that cannot be frozen", func() {
		for i, res := range b.Replay(t.Context(), s.add(useOp("b", 1), errorOp("b"), useOp("b", 1))) {
			if !errors.Is(res.Err, poolkeeper.ErrUnavailable) {
				t.Errorf("op %d: %v", i, res.Err)
			}
		}
	})
	proxy, live := r.proxied(soon, s.option)
	s.err = func(string) error { return full }
	proxy.CutBeforeRequest(1_000_000, "EVALSHA", "EVAL")
	r.refused(live, useOp("c", 1), poolkeeper.ErrIndeterminate) // and not queued
	tries := make(chan struct{}, 100)
	s.err = func(step string) error {
		if step == "settle" && len(tries) < 3 {
			tries <- struct{}{}
			return full
		}
		return nil
	}
	ops, _ := s.left()
	for i, res := range b.Replay(t.Context(), ops) {
		if res.Err != nil {
			t.Errorf("op %d: %v", i, res.Err)
		}
	}
	if got := r.usageOf("b"); got != "2" || len(tries) != 3 {
		t.Errorf("the counter is %s, want 2", got)
	}
	s.empty(t)
}

// Where Redis has lost what a frozen request builds on, and nothing was kept of that,
// its ops are for a person to decide if it may have been executed, and stay queued if not.
func TestSpoolAfterALoss(t *testing.T) {
	r, s := newRig(t), newSpool(t)
	proxy, b := r.proxied(soon, s.option, tailless)
	r.must(b, useOp("b", 1))
	s.at = func(step string) {
		if step == "after freeze" {
			r.srv.DoString("HDEL", "t:ctl:{"+rigPool+"}", "w:"+writersOf(r)[0])
			proxy.Clear()
		}
	}
	proxy.CutAfterRequest(1_000_000, "EVALSHA", "EVAL")
	r.must(b, useOp("b", 10))
	s.empty(t)
	if res, ok := s.result(2); !ok || !errors.Is(res.Err, poolkeeper.ErrLost) {
		t.Errorf("the spool was told %+v", res)
	}
	s.at = func(string) {}
	ops := s.add(useOp("b", 100))
	if res := b.Replay(t.Context(), ops)[0]; !errors.Is(res.Err, poolkeeper.ErrLost) {
		t.Errorf("a Replay after a loss: %+v", res)
	}
	if left, frozen := s.left(); len(left) != 1 || len(frozen) != 0 {
		t.Errorf("%d ops and %d requests are left, want the op that was not sent", len(left), len(frozen))
	}
}

func writersOf(r *rig) (names []string) {
	for name := range r.srv.HGetAll("t:ctl:{" + rigPool + "}") {
		if name[:2] == "w:" {
			names = append(names, name[2:])
		}
	}
	return names
}

// Whatever is cut, each op that was acknowledged counts once.
func TestSpoolAmongFaults(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r, s := newRig(t), newSpool(t)
	proxy, b := r.proxied(func(o *redisstore.Options) { o.CommandTimeout = 30 * time.Millisecond }, s.option)
	proxy.SetFaults(redistest.Faults{CutAfter: 0.1, CutBefore: 0.1, CutMid: 0.1, Seed: seed, Only: []string{"EVALSHA"}})
	var mu sync.Mutex
	acked := map[string]int{}
	var wg sync.WaitGroup
	for c := range 40 {
		wg.Go(func() {
			for i := range 40 {
				id := []string{"a", "b", "c"}[(c+i)%3]
				res := b.Apply(t.Context(), useOp(id, 1))[0]
				mu.Lock()
				switch {
				case res.Err == nil:
					acked[id]++
				case errors.Is(res.Err, poolkeeper.ErrUnavailable):
				default:
					t.Errorf("increment: %v", res.Err)
				}
				mu.Unlock()
				if _, frozen := s.left(); res.Err != nil && len(frozen) == 0 {
					b.Hold(kiro, false) // nothing is queued any more
				}
			}
		})
	}
	wg.Wait()
	proxy.Clear()
	eventually(t, "all is settled", func() bool {
		ops, frozen := s.left()
		if len(frozen) > 0 || len(ops) == 0 {
			return len(frozen)+len(ops) == 0
		}
		for _, res := range b.Replay(t.Context(), ops) { // some may have no answer in so short a time
			if res.Err != nil && !errors.Is(res.Err, poolkeeper.ErrUnavailable) {
				t.Errorf("replay: %v", res.Err)
			}
		}
		return false
	})
	for id, base := range map[string]int{"a": 5, "b": 0, "c": 0} {
		want := strconv.Itoa(base + acked[id])
		if acked[id] == 0 { // on a machine that is slow for that long
			want = ""
		}
		if got := r.usageOf(id); got != want {
			t.Errorf("the counter of %s is %s after %d acknowledged increments", id, got, acked[id])
		}
	}
}
