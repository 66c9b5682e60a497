package redisstore

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A lane is the way of this instance's ops on one key. Batches of it are in
// flight one at a time; what is submitted meanwhile forms the next one. Only of
// increments, whose order makes no difference, a second batch may go out behind
// one whose outcome is foreseen: Redis then works on the one while the callers
// of the other are answered. Each of the two has a writer of its own, and with
// it sequences: a batch is sent again, identical and under the same sequence,
// until its outcome is known, and the script applies a sequence once.
type lane struct {
	s   *Store
	key string // the Redis key

	// Callers push without a lock: hundreds of them come at once, when the
	// batch that they were in is answered.
	incoming atomic.Pointer[call] // the newest first

	// Who has the front takes batches. It is kept during the flight of a batch
	// that nothing may go out behind, and given up with any other.
	front     atomic.Bool
	queue     []*call                 // owned by the front: what came in, the oldest first
	hurried   int                     // owned by the front: for how many batches nobody is waited for
	left      atomic.Int32            // how long the queue was when it was last left
	held      atomic.Bool             // ops are queued: those that are not are refused
	broken    atomic.Pointer[failure] // why no op of the Replay under way goes out any more
	flying    atomic.Int32            // batches in flight
	resending atomic.Int32            // those of them that are being sent again

	senders [2]sender

	mu        sync.Mutex // guards what is known of the pool
	view      view
	providers map[string]*known // see runtime.go
	batches   uint64            // of increments
	tail      tail

	repair  atomic.Pointer[repair] // what is to be mended, see mend.go
	mending sync.Mutex             // held by whoever does it
	waiting atomic.Int32           // batches in flight that wait for that
}

// A sender sends one batch at a time, under sequences of its own.
type sender struct {
	inUse  atomic.Bool
	writer string
	seq    uint64
	last   time.Time // when a sequence was used
	resent bool
	rows   []usageRow // of the batch of increments under way
	rowOf  []int      // the row of each open call, or -1
}

// poolLane is the lane of a pool, found without making its key anew.
func (s *Store) poolLane(typ string) *lane {
	if l, ok := s.pools.Load(typ); ok {
		return l.(*lane)
	}
	l := s.lane(s.pool(typ))
	s.pools.Store(typ, l)
	if l.isRetired() { // it was when this was not seen yet
		s.pools.CompareAndDelete(typ, l)
	}
	return l
}

func (s *Store) lane(key string) *lane {
	if l, ok := s.lanes.Load(key); ok {
		return l.(*lane)
	}
	l := &lane{s: s, key: key}
	l.senders[0].writer, l.senders[1].writer = s.writer, s.second
	if s.opts.Spool != nil {
		_, held := s.held.Load(key)
		l.held.Store(held)
	}
	actual, _ := s.lanes.LoadOrStore(key, l)
	return actual.(*lane)
}

// submit puts a call into the lane and waits for its answer.
func (l *lane) submit(ctx context.Context, c *call) answer {
	if l.s.opts.Spool != nil {
		if err := l.barred(c); err != nil {
			c.release()
			return answer{result: poolkeeper.Result{Err: err}}
		}
	}
	l = l.push(c, c)
	if l.flying.Load() == 0 && l.claim() { // the caller sends by itself
		l.lead()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(callWaiting, callGivenUp) {
			return answer{result: poolkeeper.Result{Err: ctx.Err()}}
		}
		select {
		case <-c.done:
		default:
			return answer{result: poolkeeper.Result{Err: poolkeeper.Errorf(poolkeeper.ErrIndeterminate,
				"the caller gave up while the op was under way: %v", ctx.Err())}}
		}
	}
	a := c.answer
	c.release()
	return a
}

// collect moves what came in to the queue.
func (l *lane) collect() {
	c := l.incoming.Swap(nil)
	if c == nil {
		return
	}
	now, n := time.Now(), len(l.queue)
	for ; c != nil; c = c.next {
		c.came = now
		l.queue = append(l.queue, c)
	}
	slices.Reverse(l.queue[n:])
}

// few is how many increments are worth a flight of their own.
const few = 8

// next takes the next batch and begins the work on it. nil where nothing is to
// be sent now; the front is then still held.
func (l *lane) next() *work {
	l.collect()
	n, limit := len(l.queue), maxBatchOps
	if n == 0 {
		return nil
	}
	if f := l.flying.Load(); f > 0 {
		if f == int32(len(l.senders)) || n < few || l.resending.Load() > 0 || l.queue[0].kind != usageBatch {
			return nil // it goes when what is in flight has its answer
		}
	} else if n >= 2*few && l.foresees() {
		limit = min(limit, (n+1)/2) // the other half goes right behind it
	}
	b := l.take(limit)
	l.left.Store(int32(len(l.queue)))
	if b != nil {
		return l.begin(b)
	}
	return nil
}

// take takes calls from the front of the queue, as far as they can travel
// together. nil where nobody waits.
func (l *lane) take(limit int) *batch {
	var b *batch
	size, n := 0, 0
	for _, c := range l.queue {
		if b != nil && !b.takes(c, size, limit) {
			break
		}
		n++
		if !c.state.CompareAndSwap(callWaiting, callTaken) {
			continue // the caller is gone
		}
		if l.s.opts.Spool != nil {
			if err := l.barred(c); err != nil {
				c.refuse(err)
				continue
			}
		}
		if b == nil {
			b = &batch{kind: c.kind, formed: c.came, calls: make([]*call, 0, min(limit, len(l.queue)-n+1)), queued: c.entry != 0, bare: c.bare, origin: c.origin}
		}
		b.calls = append(b.calls, c)
		size += c.size
	}
	l.queue = slices.Delete(l.queue, 0, n)
	if b != nil && b.origin != "" {
		if ops, _ := splitOrigin(b.origin); len(b.calls) != ops {
			b.fail(errParted)
			return nil
		}
	}
	return b
}

var errParted = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the caller gave up while ops that go out together were on their way")

// claim takes the front, where nobody has it.
func (l *lane) claim() bool { return l.front.CompareAndSwap(false, true) }

// yield gives up the front. It returns true where it is held again, as there is
// something to be sent that nobody else will send.
func (l *lane) yield() bool {
	if l.retire() {
		return false
	}
	l.left.Store(int32(len(l.queue)))
	l.front.Store(false)
	// Whoever is in flight looks again when he lands.
	return l.flying.Load() == 0 && (l.incoming.Load() != nil || l.left.Load() > 0) && l.claim()
}

// lead sends the first batch, on the goroutine of the caller that it began
// with; a goroutine of the lane goes on where there is more to do.
func (l *lane) lead() {
	if w := l.next(); w != nil {
		if !w.step() {
			l.goOn(w)
			return
		}
		if w.land(); !w.atFront && !l.claim() {
			return // somebody else has the front, and looks for more
		}
	}
	if l.yield() {
		l.goOn(nil)
	}
}

// goOn begins a goroutine of the lane, to which the front goes.
func (l *lane) goOn(w *work) {
	l.s.active.Add(1)
	go l.run(w)
}

// run works until there is nothing to be sent. Without work it begins at the
// front.
func (l *lane) run(w *work) {
	defer l.s.active.Done()
	for {
		if w == nil {
			l.gather()
			if w = l.next(); w == nil {
				if l.yield() {
					continue
				}
				return
			}
		}
		for !w.step() {
			select {
			case <-time.After(w.pause()):
			case <-l.s.stop:
				w.abandon()
				if w.land(); w.atFront || l.claim() {
					l.drain()
				}
				return
			}
			w.expire()
		}
		if w.land(); !w.atFront && !l.claim() {
			return
		}
		w = nil
	}
}

// gather lets those who have just been answered go first, as long as more of
// them come back: what they do next then travels in this batch and not behind
// it. A few turns in which nobody came are because some of them may be running
// on another processor. Where a turn goes to others who have work to do, as all
// do where the processors are busy, nobody is waited for, for a while.
func (l *lane) gather() {
	const (
		patience = 10
		turn     = time.Millisecond
		hurries  = 64
	)
	if l.hurried > 0 {
		l.hurried--
		return
	}
	last, at := l.incoming.Load(), time.Now()
	for idle := 0; idle < patience; idle++ {
		runtime.Gosched()
		was := at
		if at = time.Now(); at.Sub(was) > turn {
			l.hurried = hurries
			return
		}
		if now := l.incoming.Load(); now != last {
			last, idle = now, 0
		}
	}
}

// expire answers calls that waited too long behind a batch without an outcome,
// or that queued ops come before: they were never sent.
func (w *work) expire() {
	if !w.atFront && !w.claim() {
		return
	}
	w.collect()
	w.queue = slices.DeleteFunc(w.queue, func(c *call) bool {
		var err error
		switch {
		case w.s.opts.Spool != nil && w.barred(c) != nil:
			err = w.barred(c)
		case c.entry != 0 || time.Since(c.came) <= w.s.patience():
			return false
		default:
			err = poolkeeper.Errorf(poolkeeper.ErrUnavailable,
				"an earlier op on the same key has had no answer from Redis for %v", w.s.patience())
		}
		if c.state.CompareAndSwap(callWaiting, callTaken) {
			c.refuse(err)
		}
		return true
	})
	w.left.Store(int32(len(w.queue)))
	if !w.atFront {
		w.yield() // this batch is in flight: it is not held again
	}
}

// drain answers everything that waits when the store is closed. The front is
// held.
func (l *lane) drain() {
	for {
		l.collect()
		if b := l.take(maxBatchOps); b != nil {
			b.fail(&poolkeeper.Error{Err: poolkeeper.ErrClosed})
		} else if !l.yield() {
			return
		}
	}
}
