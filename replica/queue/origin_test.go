package queue_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/replica/queue"
)

// saved is what the server has, as it could come back.
func (r *rig) saved() []byte {
	r.Helper()
	r.srv.DoString("SAVE")
	data, err := os.ReadFile(filepath.Join(r.srv.Dir(), "dump.rdb"))
	if err != nil {
		r.Fatal(err)
	}
	return data
}

// goesTo starts the server again as it was once.
func (r *rig) goesTo(dump []byte) {
	r.Helper()
	r.srv.Kill()
	if err := os.WriteFile(filepath.Join(r.srv.Dir(), "dump.rdb"), dump, 0o600); err != nil {
		r.Fatal(err)
	}
	r.srv.Restart()
}

// countsOf is how often a provider was used, and how much of that is set aside, too.
func (r *rig) countsOf(id string, queues ...*queue.Queue) (counted, aside int64) {
	counted, _ = strconv.ParseInt(r.state(id, "usageCount"), 10, 64)
	for _, q := range queues {
		for _, a := range q.Backlog().Aside() {
			if a.Op.ID == id {
				aside += a.Op.N
			}
		}
	}
	return counted, aside
}

// struck has the server go to a state, and ends the queue when it has made durable what
// it finds lost there, and has not brought any of it back.
func (r *rig) struck(q *queue.Queue, dump []byte) {
	r.Helper()
	r.empty(q)
	var done atomic.Bool
	q.Observe(func(op poolkeeper.QueuedOp, _ bool) {
		if op.Origin != "" && !done.Swap(true) {
			r.srv.Kill()
		}
	}, nil)
	r.goesTo(dump)
	r.eventually("what was lost is queued again", func() bool {
		if !done.Load() {
			q.Info(r.Context()) // finds out that its connections are gone
		}
		return done.Load()
	})
	q.Close()
}

// A primary goes back, and the instance is killed when what was lost is in its journal
// and not in Redis yet. The next one brings it there; then a server takes the place of
// that which has followed neither, and has what was lost as it was first, or a part of
// that. Each op counts once. Of a part nobody can say which ops it is: it is set aside.
func TestPrimaryThatWasNeverBackOfTheNextProcess(t *testing.T) {
	for _, had := range []int{0, 7, 20} {
		t.Run(strconv.Itoa(had), func(t *testing.T) {
			t.Parallel()
			r := forgetful(t)
			dir := t.TempDir()
			q := r.queue(r.srv.SocketURL(), dir, nil)
			oldest := r.saved()
			replica := oldest
			want := map[string]int64{}
			use := func(q *queue.Queue, id string, n int64) {
				op := useOp(id, n)
				switch n % 3 {
				case 0:
					op.Kind = poolkeeper.OpSuccess
				case 1:
					op.IdempotencyKey = fmt.Sprintf("%s-%d", id, want[id])
				}
				if res := q.Apply(t.Context(), op)[0]; res.Err != nil {
					t.Fatal(res.Err)
				}
				want[id] += n
			}
			for i := range 20 {
				use(q, []string{"a", "b"}[i%2], int64(1+i/4))
				if i+1 == had {
					replica = r.saved()
				}
			}
			r.struck(q, oldest)
			r.goesTo(oldest)
			next := r.queue(r.srv.SocketURL(), dir, nil)
			for i, dump := range [][]byte{nil, replica, oldest} {
				if dump != nil {
					r.goesTo(dump)
				}
				use(next, "c", int64(1+i))
				r.empty(next)
				for id, n := range want {
					counted, aside := r.countsOf(id, next)
					if counted > n || counted+aside < n || aside > 0 && (had != 7 || i == 0) {
						t.Errorf("server %d: %s is %d, and %d are set aside, want %d", i, id, counted, aside, n)
					}
				}
			}
		})
	}
}

// Whatever servers follow each other, each with a state that one of them once had, and
// at whatever moment of the repair: what was acknowledged counts once, whether it was
// applied or queued.
func TestAnyStateComesBack(t *testing.T) { anyStateComesBack(t, false) }

// So it is where instances are killed between, having made durable what was lost. Of
// what the next one is to bring a server may have a part: that is set aside.
func TestAnyStateComesBackToTheNextProcess(t *testing.T) { anyStateComesBack(t, true) }

func anyStateComesBack(t *testing.T, kills bool) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := forgetful(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	queues := []*queue.Queue{r.queue(r.srv.SocketURL(), dirs[0], nil), r.queue(r.srv.SocketURL(), dirs[1], nil)}
	states := [][]byte{r.saved()}
	any := func(step int) []byte {
		at := rnd.IntN(len(states))
		t.Logf("step %d: state %d of %d", step, at, len(states))
		return states[at]
	}
	want, keys := map[string]int64{}, 0
	use := func(step, i int) {
		id := []string{"a", "b", "c"}[rnd.IntN(3)]
		op := useOp(id, 1+rnd.Int64N(9))
		switch rnd.IntN(4) {
		case 0:
			op.Kind = poolkeeper.OpSuccess
		case 1:
			keys++
			op.IdempotencyKey = fmt.Sprint("k", keys)
		}
		if res := queues[i].Apply(t.Context(), op)[0]; res.Err != nil {
			t.Fatalf("step %d: %v", step, res.Err)
		}
		want[id] += op.N
	}
	for step := range 80 {
		switch k := rnd.IntN(20); {
		case k < 12:
			use(step, rnd.IntN(2))
		case k < 16:
			states = append(states, r.saved())
		case kills && k < 17:
			// The oldest state has nothing of what it had acknowledged: all of it gets into
			// the journal.
			i := rnd.IntN(2)
			use(step, i)
			t.Logf("step %d: %d is killed", step, i)
			r.struck(queues[i], states[0])
			r.goesTo(any(step))
			queues[i] = r.queue(r.srv.SocketURL(), dirs[i], nil)
			r.empty(queues[i])
			use(step, i)
		default:
			r.goesTo(any(step))
			if rnd.IntN(2) == 0 {
				time.Sleep(time.Duration(rnd.IntN(200)) * time.Millisecond)
			}
		}
	}
	settled := func(id string) bool {
		counted, aside := r.countsOf(id, queues...)
		return counted+aside >= want[id] && (kills || aside == 0)
	}
	for id := range want {
		r.eventually(id+" has all", func() bool { return settled(id) })
	}
	for i, q := range queues {
		use(80, i)
		r.empty(q)
		if s := q.Backlog().State(); s.Lost > 0 {
			t.Errorf("the backlog has %+v, %+v", s, q.Backlog().Lost())
		}
	}
	for id, n := range want {
		if counted, aside := r.countsOf(id, queues...); counted > n || !settled(id) {
			t.Errorf("%s is %d, and %d are set aside, want %d", id, counted, aside, n)
		}
	}
}
