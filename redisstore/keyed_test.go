package redisstore_test

import (
	"errors"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

func keyedOp(key, id string, n int64) poolkeeper.Op {
	op := useOp(id, n)
	op.IdempotencyKey = key
	return op
}

const rigOnce = "t:once:{" + rigPool + "}:"

// TestIdempotencyKeysEnd: a key counts for a day by the clock of the caller, and
// is gone from Redis a day after it was written.
func TestIdempotencyKeysEnd(t *testing.T) {
	r := newRig(t)
	ahead := func(d time.Duration) *redisstore.Store {
		return r.open(r.srv.SocketURL(), func(o *redisstore.Options) { o.Now = func() time.Time { return time.Now().Add(d) } })
	}
	const day = poolkeeper.IdempotencyLife * time.Millisecond
	almost, after := ahead(day-time.Minute), ahead(day+time.Minute)
	op := keyedOp("k", "a", 3)
	for i, c := range []struct {
		b    *redisstore.Store
		want int64
	}{{r.b, 8}, {r.b, 8}, {almost, 8}, {after, 11}, {after, 11}, {r.b, 11}} {
		if res := r.must(c.b, op); res.Count != c.want {
			t.Errorf("turn %d: count %d, want %d", i, res.Count, c.want)
		}
	}
	if got := r.usageOf("a"); got != "11" {
		t.Errorf("the counter is %s", got)
	}
	name := rigOnce + poolkeeper.ETag([]byte("k"))
	if got := r.srv.DoString("GET", name); !regexp.MustCompile(`^\d{13} 11 1 a3 a$`).MatchString(got) {
		t.Errorf("it holds %q", got)
	}
	if redistest.Slot(name) != redistest.Slot(rigPool) {
		t.Errorf("%s and %s are in two slots", name, rigPool)
	}
	ttl, err := strconv.Atoi(r.srv.DoString("PTTL", name))
	if err != nil || ttl > int(poolkeeper.IdempotencyLife) || ttl < int(poolkeeper.IdempotencyLife)-60_000 {
		t.Errorf("its TTL is %d, %v", ttl, err)
	}
}

// TestIdempotencyKeysKeepViews: increments with keys and without, of several
// instances, never write over each other.
func TestIdempotencyKeysKeepViews(t *testing.T) {
	r := newRig(t)
	other := r.open(r.srv.SocketURL())
	want := int64(5)
	for i := range 60 {
		b := []*redisstore.Store{r.b, other}[i/3%2]
		op := useOp("a", 1)
		if i%4 == 1 {
			op = keyedOp(strconv.Itoa(i), "a", 2)
		}
		want += op.N
		if res := r.must(b, op); res.Count != want {
			t.Fatalf("turn %d: count %d, want %d", i, res.Count, want)
		}
	}
}

// TestIdempotencyKeysOfOneBatch: of one batch too, each key counts once.
func TestIdempotencyKeysOfOneBatch(t *testing.T) {
	r := newRig(t)
	tap := startTap(t, r.srv.Socket())
	b := r.open(tap.url(), patient)
	r.must(b, keyedOp("first", "b", 1))
	blocker := errorOp("a")
	blocker.Message = new("blocker")
	held := tap.hold("blocker")
	var wg sync.WaitGroup
	wg.Go(func() { r.must(b, blocker) })
	held.waitHeld(t)
	const n = 12
	counts := make([]int64, n)
	for i := range n {
		wg.Go(func() { counts[i] = r.must(b, keyedOp(strconv.Itoa(i%2), "b", 1)).Count })
	}
	time.Sleep(50 * time.Millisecond) // they wait in the lane
	held.letGo()
	wg.Wait()
	if got := r.usageOf("b"); got != "3" {
		t.Errorf("the counter is %s, want 3", got)
	}
	for i := range counts {
		if counts[i] != counts[i%2] || counts[0]+counts[1] != 5 {
			t.Errorf("the counts are %v", counts)
			break
		}
	}
}

// TestIdempotencyKeysAcrossLostReplies: who is told that the outcome is not known
// sends the increment again under its key, and it counts once.
func TestIdempotencyKeysAcrossLostReplies(t *testing.T) {
	for name, begin := range map[string]func(*redistest.Proxy){
		"executed, replies lost": func(p *redistest.Proxy) { p.CutAfterRequest(-1, "EVALSHA", "EVAL") },
		"never arrived":          func(p *redistest.Proxy) { p.Blackhole(true) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			proxy, b := r.proxied(impatient)
			r.must(b, keyedOp("first", "b", 1)) // loads the script
			begin(proxy)
			const n = 20
			ops := make([]poolkeeper.Op, n)
			var wg sync.WaitGroup
			var unknown atomic.Int64
			for i := range ops {
				ops[i] = keyedOp(strconv.Itoa(i), "b", 1)
				wg.Go(func() {
					if errors.Is(r.try(b, ops[i]).Err, poolkeeper.ErrIndeterminate) {
						unknown.Add(1)
					}
				})
			}
			wg.Wait()
			proxy.Clear()
			if unknown.Load() == 0 {
				t.Error("no outcome was unknown")
			}
			other := r.open(r.srv.SocketURL())
			seen := map[int64]bool{1: true}
			for i, op := range ops {
				sender := b
				if i%2 == 0 {
					sender = other // the retry may reach another instance
				}
				res := r.must(sender, op)
				if seen[res.Count] {
					t.Errorf("the count %d was answered twice", res.Count)
				}
				seen[res.Count] = true
			}
			if got := r.usageOf("b"); got != strconv.Itoa(n+1) {
				t.Errorf("the counter is %s, want %d", got, n+1)
			}
		})
	}
}
