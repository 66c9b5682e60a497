package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/replica/queue"
)

// A tally is what callers were told.
type tally struct {
	mu    sync.Mutex
	acked map[string]int64
	said  map[poolkeeper.Status]int
}

func (c *tally) count(t *testing.T, q poolkeeper.Backend, op poolkeeper.Op) {
	res := q.Apply(context.Background(), op)[0]
	c.mu.Lock()
	defer c.mu.Unlock()
	if res.Err != nil {
		t.Errorf("%s: %v", op.Kind, res.Err)
		return
	}
	c.said[res.Status]++
	c.acked[op.ID] += op.N
}

// check compares the counters, read plainly, with what was acknowledged.
func (c *tally) check(r *rig) {
	r.Helper()
	for id, want := range c.acked {
		if got := r.state(id, "usageCount"); got != strconv.FormatInt(want, 10) {
			r.Errorf("the counter of %s is %s, and %d were acknowledged", id, got, want)
		}
	}
}

// With a server that does not answer, nor refuse, each write is acknowledged as
// queued, and counts once when the server goes on.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*rig, *redistest.Proxy, bool){
		"stopped": func(r *rig, _ *redistest.Proxy, on bool) {
			if on {
				r.srv.Pause()
			} else {
				r.srv.Resume()
			}
		},
		"blackholed": func(_ *rig, p *redistest.Proxy, on bool) { p.Blackhole(on) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			proxy := redistest.StartProxy(t, r.srv.Socket())
			q := r.queue(proxy.URL(), t.TempDir(), nil)
			c := &tally{acked: map[string]int64{}, said: map[poolkeeper.Status]int{}}
			for _, id := range []string{"a", "b", "c"} {
				c.count(t, q, useOp(id, 1))
			}
			fault(r, proxy, true)
			var wg sync.WaitGroup
			for i := range 60 {
				wg.Go(func() {
					for k := range 5 {
						c.count(t, q, useOp([]string{"a", "b", "c"}[(i+k)%3], 1))
					}
				})
			}
			wg.Wait()
			if c.said[poolkeeper.Queued] != 300 {
				t.Errorf("callers were told %v", c.said)
			}
			fault(r, proxy, false)
			r.empty(q)
			c.check(r)
		})
	}
}

// Three instances count while faults of every kind strike at random: the sums are
// what was acknowledged.
func TestCountersUnderFaults(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	lasts := 6 * time.Second
	if testing.Short() {
		lasts = 2 * time.Second
	}
	r := newRig(t)
	c := &tally{acked: map[string]int64{}, said: map[poolkeeper.Status]int{}}
	var proxies []*redistest.Proxy
	var queues []*queue.Queue
	for range 3 {
		p := redistest.StartProxy(t, r.srv.Socket())
		p.SetFaults(redistest.Faults{CutAfter: 0.02, CutBefore: 0.02, CutMid: 0.02, Seed: rnd.Uint64(), Only: []string{"EVALSHA", "EVAL"}})
		proxies = append(proxies, p)
		queues = append(queues, r.queue(p.URL(), t.TempDir(), &queue.Options{Chunk: 1000}))
	}
	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	var wg sync.WaitGroup
	for i := range 60 {
		own := rand.New(rand.NewPCG(seed, uint64(i+1)))
		wg.Go(func() {
			for ctx.Err() == nil {
				id := []string{"a", "b", "c"}[own.IntN(3)]
				op := useOp(id, 1+own.Int64N(5))
				switch own.IntN(20) {
				case 0:
					op.IdempotencyKey = fmt.Sprintf("%d-%d", i, own.Uint64())
				case 1:
					op = poolOp(poolkeeper.OpSuccess, id)
					op.N = 3
				case 2:
					op = poolOp(poolkeeper.OpError, id)
				}
				c.count(t, queues[i%3], op)
			}
		})
	}
	struck := map[string]int{}
	kinds := []string{"down", "hole", "pause", "restart"}
	for i := 0; ctx.Err() == nil || i < len(kinds); i++ {
		p := proxies[rnd.IntN(3)]
		pause := time.Duration(100+rnd.IntN(500)) * time.Millisecond
		what := kinds[i%len(kinds)]
		struck[what]++
		switch what {
		case "down":
			p.Down()
			time.Sleep(pause)
			p.Up()
		case "hole":
			p.Blackhole(true)
			time.Sleep(pause + 1100*time.Millisecond) // longer than a command may take: so that something is queued
			p.Blackhole(false)
		case "pause":
			r.srv.Pause()
			time.Sleep(pause)
			r.srv.Resume()
		case "restart":
			r.srv.Kill()
			r.srv.Restart()
		}
		time.Sleep(50 * time.Millisecond)
	}
	wg.Wait()
	for _, p := range proxies {
		p.Clear()
	}
	for _, q := range queues {
		r.empty(q)
		for _, a := range q.Backlog().Aside() {
			t.Errorf("set aside: %s of %s: %v", a.Op.Kind, a.Op.ID, a.Err)
		}
	}
	c.check(r)
	t.Logf("told %v; struck by %v", c.said, struck)
	if c.said[poolkeeper.Applied] == 0 || c.said[poolkeeper.Queued] == 0 || len(struck) < len(kinds) {
		t.Errorf("told %v; struck by %v", c.said, struck)
	}
}
