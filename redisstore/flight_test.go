package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// tableMark is the field that makes Redis keep the state of a pool as a table.
const tableMark = ":no field of a provider, but what makes Redis keep this hash as a table"

func TestStateIsATable(t *testing.T) {
	r := newRig(t)
	r.must(r.b, useOp("b", 1))
	if got := r.srv.DoString("OBJECT", "ENCODING", "t:state:{"+rigPool+"}"); got != "hashtable" {
		t.Errorf("the state of a pool of few providers is a %s", got)
	}
}

// wave has many callers make increments of 1 on b and c, each the next one when
// it has the answer, and tells each answer.
func (r *rig) wave(b *redisstore.Store, callers, each int, told func(poolkeeper.Result)) {
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range each {
				told(r.must(b, useOp([]string{"b", "c"}[i%2], 1)))
			}
		})
	}
	wg.Wait()
}

// Increments of many callers go out in two flights, which the server sees under
// two writers.
func TestTwoFlights(t *testing.T) {
	r := newRig(t)
	r.wave(r.b, 100, 50, func(poolkeeper.Result) {})
	writers := 0
	for name := range r.srv.HGetAll("t:ctl:{" + rigPool + "}") {
		if name[:2] == "w:" {
			writers++
		}
	}
	if writers != 2 {
		t.Errorf("a pool that many callers count on has been written to by %d writers, want 2", writers)
	}
	if b, c := r.usageOf("b"), r.usageOf("c"); b != "2500" || c != "2500" {
		t.Errorf("the counters are %s and %s, want 2500", b, c)
	}
}

// Of two batches in flight the second comes first, and another writer before
// it: nothing is written from what was foreseen of them.
func TestFlightsOvertake(t *testing.T) {
	for _, behind := range []struct {
		name string
		ids  []string
		a, b string // what they count then
	}{
		{"foreseen as well", []string{"b"}, "", "11"},
		{"a first use", []string{"a"}, "15", "1"}, // takes two requests
		{"a first use among others", []string{"b", "a"}, "10", "6"},
	} {
		t.Run(behind.name, func(t *testing.T) {
			r := newRig(t)
			tap := startTap(t, r.srv.Socket())
			store := r.open(tap.url(), patient)
			r.must(store, useOp("b", 1))
			r.must(store, useOp("c", 1))
			blocker := poolOp(poolkeeper.OpHealth, "a")
			blocker.Model = new("blocker")
			before, first, second := tap.hold("blocker"), tap.hold("EVALSHA"), tap.hold("EVALSHA")
			var wg sync.WaitGroup
			count := func(ids ...string) {
				for i := range 10 {
					wg.Go(func() { r.must(store, useOp(ids[i%len(ids)], 1)) })
				}
				time.Sleep(50 * time.Millisecond) // they wait in the lane
			}
			wg.Go(func() { r.must(store, blocker) })
			before.waitHeld(t)
			count("c")
			count(behind.ids...)
			before.letGo()
			first.waitHeld(t)
			second.waitHeld(t)
			count("c") // goes out when one of the two has its answer
			r.must(r.b, useOp("c", 100))
			was := r.usageOf("c")
			second.letGo()
			for i := 0; r.usageOf("c") == was && i < 100; i++ {
				time.Sleep(10 * time.Millisecond)
			}
			if c := r.usageOf("c"); c != "111" {
				t.Errorf("while a batch is held up the counter is %s, want 111", c)
			}
			first.letGo()
			wg.Wait()
			r.must(store, useOp("c", 1))
			for id, want := range map[string]string{"a": behind.a, "b": behind.b, "c": "122"} {
				if got := r.usageOf(id); got != want {
					t.Errorf("the counter of %s is %q, want %q", id, got, want)
				}
			}
		})
	}
}

// New connections take their time, and some accounts are used for the first
// time: the second flight often comes before the first.
func TestFlightsOnSlowConnections(t *testing.T) {
	r := newRig(t)
	tap := startTap(t, r.srv.Socket())
	tap.dialling.Store(int64(10 * time.Millisecond))
	for range 10 {
		store := r.open(tap.url(), patient)
		var known [10]atomic.Int64
		pool := poolkeeper.PoolKey("slow")
		use := func(i int) {
			r.must(store, poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: pool, ID: "p" + strconv.Itoa(i), N: 1, At: rigAt})
		}
		replace := poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: pool}
		const callers, each = 60, 30
		for i := range 10 + callers*each {
			id := "p" + strconv.Itoa(i)
			replace.Providers = append(replace.Providers, poolkeeper.ProviderRecord{ID: id, Definition: fmt.Appendf(nil, `{"uuid":%q}`, id),
				State: &poolkeeper.State{}})
		}
		r.must(store, replace)
		for i := range known {
			use(i)
			known[i].Add(1)
		}
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for k := range each {
					if n := c*each + k; n%61 == 0 {
						use(10 + n)
					} else {
						use(n % 10)
						known[n%10].Add(1)
					}
				}
			})
		}
		wg.Wait()
		for i := range known {
			got := r.srv.DoString("HGET", "t:state:{t:pools:slow}", "p"+strconv.Itoa(i)+":usageCount")
			if want := strconv.FormatInt(known[i].Load(), 10); got != want {
				t.Errorf("counter %d is %s after %s increments", i, got, want)
			}
		}
		store.Close()
	}
}

// Whoever else counts, decides or edits, and whatever breaks, no two increments
// of 1 are answered the same count, and the last is the sum: what is foreseen is
// written only where it has come so.
func TestFlightsAmongOthers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, c := range []struct {
		name   string
		faults redistest.Faults
		others int // stores that count as well
		meddle bool
	}{
		{"alone", redistest.Faults{}, 0, false},
		{"alone, replies lost", redistest.Faults{CutAfter: 0.05, CutBefore: 0.05, CutMid: 0.05}, 0, false},
		{"another writer", redistest.Faults{}, 1, false},
		{"another writer, replies lost", redistest.Faults{CutAfter: 0.05, CutBefore: 0.05, CutMid: 0.05}, 1, false},
		{"edits and decisions", redistest.Faults{CutAfter: 0.02}, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			proxy, b := r.proxied()
			r.must(b, useOp("b", 1))
			r.must(b, useOp("c", 1))
			c.faults.Seed, c.faults.Only = seed, []string{"EVALSHA"}
			proxy.SetFaults(c.faults)
			if c.faults.CutAfter > 0 { // so that it occurs, whatever chance has it
				proxy.CutAfterRequest(3, "EVALSHA")
			}
			var mu sync.Mutex
			seen := map[string]bool{}
			told := func(res poolkeeper.Result) {
				mu.Lock()
				defer mu.Unlock()
				answer := fmt.Sprintf("%s:%d", res.ID, res.Count)
				if seen[answer] {
					t.Errorf("two increments of %s were answered %d", res.ID, res.Count)
				}
				seen[answer] = true
			}
			const callers, each = 60, 40
			stop := make(chan struct{})
			var others, meddlers sync.WaitGroup
			for range c.others {
				other := r.open(r.srv.SocketURL())
				others.Go(func() { r.wave(other, callers, each, told) })
			}
			if c.meddle {
				meddlers.Go(func() {
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						r.must([]*redisstore.Store{b, r.b}[i%2], errorOp("b"))
						r.must([]*redisstore.Store{r.b, b}[i%2], defineOp(poolkeeper.OpPutProvider, "a", `,"n":`+strconv.Itoa(i)))
					}
				})
			}
			r.wave(b, callers, each, told)
			others.Wait()
			close(stop)
			meddlers.Wait()
			want := strconv.Itoa(1 + (1+c.others)*callers/2*each)
			if b, c := r.usageOf("b"), r.usageOf("c"); b != want || c != want {
				t.Errorf("the counters are %s and %s, want %s", b, c, want)
			}
			if c.faults.CutAfter > 0 && proxy.Counts()[redistest.FaultCutAfter] == 0 {
				t.Error("no reply was lost")
			}
		})
	}
}

// Bursts of callers with pauses between, some of whom give up: every call ends,
// and what was acknowledged is counted.
func TestBursts(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t)
	r.must(r.b, useOp("b", 1))
	var sure, unsure atomic.Int64
	for range 400 {
		var wg sync.WaitGroup
		for range 1 + rnd.IntN(50) {
			op, after := useOp("b", 1), time.Duration(rnd.IntN(2000))*time.Microsecond
			if rnd.IntN(20) == 0 {
				op = errorOp("c")
			}
			hurried := rnd.IntN(4) == 0
			wg.Go(func() {
				ctx := t.Context()
				if hurried {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, after)
					defer cancel()
				}
				for range 2 {
					err := r.b.Apply(ctx, op)[0].Err
					switch {
					case op.Kind != poolkeeper.OpUsage, errors.Is(err, context.DeadlineExceeded):
					case errors.Is(err, poolkeeper.ErrIndeterminate):
						unsure.Add(1)
					case err != nil:
						t.Errorf("increment: %v", err)
					default:
						sure.Add(1)
					}
				}
			})
		}
		ended := make(chan struct{})
		go func() {
			wg.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatal("a call does not end")
		}
	}
	r.must(r.b, useOp("b", 1)) // comes after all that were sent
	got, _ := strconv.ParseInt(r.usageOf("b"), 10, 64)
	if low := sure.Load() + 2; got < low || got > low+unsure.Load() {
		t.Errorf("the counter is %d after %d increments and %d of unknown outcome", got, low, unsure.Load())
	}
}
