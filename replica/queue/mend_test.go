package queue_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/replica/queue"
)

// forgetful is a rig on a server that goes back to what it saved last when it is
// started anew.
func forgetful(t *testing.T) *rig { return rigOn(t, redistest.Start(t)) }

func (r *rig) sum() (n int64) {
	for _, id := range []string{"a", "b", "c"} {
		v, _ := strconv.ParseInt(r.srv.DoString("HGET", "t:state:{t:pools:kiro}", id+":usageCount"), 10, 64)
		n += v
	}
	return n
}

// However often Redis goes back to an older state under load, what was acknowledged
// is there in the end, whether it was applied or queued.
func TestLostIsQueuedAgain(t *testing.T) {
	t.Parallel()
	r := forgetful(t)
	queues := []*queue.Queue{r.queue(r.srv.SocketURL(), t.TempDir(), nil), r.queue(r.srv.SocketURL(), t.TempDir(), nil)}
	var acked atomic.Int64
	var done atomic.Bool
	var wg sync.WaitGroup
	for i := range 40 {
		q := queues[i%2]
		wg.Go(func() {
			for n := 0; !done.Load(); n++ {
				op := useOp([]string{"a", "b", "c"}[(i+n)%3], int64(1+n%3))
				if n%9 == 4 {
					op.Kind = poolkeeper.OpSuccess
				}
				if res := q.Apply(t.Context(), op)[0]; res.Err != nil {
					t.Errorf("increment: %v", res.Err)
					return
				}
				acked.Add(op.N)
			}
		})
	}
	went := 0
	for i := range 6 {
		time.Sleep(60 * time.Millisecond)
		if i%2 == 0 {
			r.srv.DoString("SAVE")
			time.Sleep(60 * time.Millisecond)
		}
		before := r.sum()
		r.srv.Kill()
		time.Sleep(time.Duration(i%3) * 50 * time.Millisecond)
		r.srv.Restart()
		if r.sum() < before {
			went++
		}
	}
	done.Store(true)
	wg.Wait()
	r.eventually("all is counted", func() bool { return r.sum() == acked.Load() })
	for _, q := range queues {
		r.empty(q)
		if s := q.Backlog().State(); s.Aside > 0 || s.Lost > 0 {
			t.Errorf("the backlog has %+v", s)
		}
	}
	if got := r.sum(); got != acked.Load() || went == 0 {
		t.Errorf("%d counted of %d, Redis went back %d times", got, acked.Load(), went)
	}
}

// What was lost is durable before any of it is applied again, and comes before what
// was queued: the next process goes on with it, where this one ends.
func TestLostSurvivesTheProcess(t *testing.T) {
	t.Parallel()
	r := forgetful(t)
	dir := t.TempDir()
	var again atomic.Int64
	var once sync.Once
	q := r.queue(r.srv.SocketURL(), dir, nil)
	q.Observe(func(op poolkeeper.QueuedOp, _ bool) {
		if op.Op.Key == kiro {
			again.Add(1)
			once.Do(r.srv.Pause) // nothing more is answered
		}
	}, nil)
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	r.srv.DoString("SAVE")
	var want int64 = 1
	for i := range 51 {
		if i == 0 {
			continue
		}
		id := []string{"a", "b"}[i%2]
		r.must(q, useOp(id, int64(i)), poolkeeper.Applied)
		want += int64(i)
		if i%10 == 0 {
			r.must(q, poolkeeper.Op{Kind: poolkeeper.OpPutProvider, Key: kiro, ID: "c", Data: []byte(`{"uuid":"c","n":` + strconv.Itoa(i) + `}`), At: now()}, poolkeeper.Applied)
			r.must(q, putOp("d.json", `{"n":`+strconv.Itoa(i)+`}`), poolkeeper.Applied)
		}
	}
	r.srv.Kill()
	r.srv.Restart()
	r.eventually("something is queued again", func() bool { return again.Load() > 0 })
	r.must(q, poolkeeper.Op{Kind: poolkeeper.OpPutProvider, Key: kiro, ID: "c", Data: []byte(`{"uuid":"c","n":"last"}`), At: now()}, poolkeeper.Queued)
	q.Close() // while the server is stopped: what it was sent it may execute yet
	r.srv.Resume()
	next := r.queue(r.srv.SocketURL(), dir, nil)
	r.empty(next)
	// What was not durable by then is reported as lost.
	lost := int64(0)
	for _, l := range next.Backlog().Lost() {
		lost += l.N
	}
	if got := r.sum(); got+lost != want || lost > 0 && got > 1 {
		t.Errorf("%d counted and %d lost, want %d", got, lost, want)
	}
	if got := r.srv.DoString("HGET", "t:pools:kiro", "c"); got != `{"uuid":"c","n":"last"}` {
		t.Errorf("the provider is %s", got)
	}
	if s := next.Backlog().State(); s.Aside > 0 {
		t.Errorf("set aside: %+v", next.Backlog().Aside())
	}
}
