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

// Bounds of a batch: what one script may be given.
const (
	maxBatchOps   = 1000
	maxBatchBytes = 1 << 20
)

// A lane is the order of this instance's ops on one key. At most one batch of
// it is in flight; what is submitted meanwhile forms the next one. A batch is
// sent again, identical and under the same sequence, until its outcome is
// known, and the script applies a sequence once.
type lane struct {
	s   *Store
	key string // the Redis key

	// Callers push without a lock: hundreds of them come at once, when the
	// batch that they were in is answered.
	incoming atomic.Pointer[call] // the newest first
	busy     atomic.Bool          // somebody is taking batches

	// Owned by whoever is busy.
	queue     []*call // what came in, the oldest first
	writer    string  // the id that its sequences are under
	seq       uint64
	last      time.Time // when a sequence was used
	resent    bool
	view      view
	providers map[string]*known // see runtime.go
	batches   uint64            // of increments
	rows      []usageRow        // of the batch of increments under way
	rowOf     []int             // the row of each open call, or -1
}

// A batch is ops of one lane that travel together. kind says which can.
type batch struct {
	kind   batchKind
	calls  []*call
	formed time.Time // when the first call came
}

type batchKind uint8

const (
	usageBatch  batchKind = iota
	decideBatch           // other ops on runtime state
	valueBatch            // values of one key
	soloBatch             // one prepared script call
)

// A call is one op on its way through a lane.
type call struct {
	kind  batchKind
	size  int // bound of the bytes that it adds to a batch
	op    *poolkeeper.Op
	row   *request // what a value or solo batch sends for it
	id    string   // the provider that it is for, after aliases
	turns int      // how often it was sent on: to a new id, or with new literals

	next   *call // in incoming
	came   time.Time
	state  atomic.Uint32
	done   chan struct{} // gets one value when there is an answer; nil where nobody waits
	answer               // the lane's until then
}

// An answer is what became of a call.
type answer struct {
	answered bool
	result   poolkeeper.Result
	text     string // of a value or solo batch
}

// States of a call: the lane takes it, or the caller gives it up before that.
const (
	callWaiting uint32 = iota
	callTaken
	callGivenUp
)

var callPool = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

func newCall(kind batchKind, op *poolkeeper.Op) *call {
	c := callPool.Get().(*call)
	c.kind, c.op = kind, op
	return c
}

// release gives a call back that has its answer.
func (c *call) release() {
	done := c.done
	*c = call{done: done}
	callPool.Put(c)
}

func (c *call) answerText(text string, rev poolkeeper.Revision) {
	c.answered, c.text, c.result.Revision = true, text, rev
}

func (c *call) answerResult(r poolkeeper.Result) { c.answered, c.result = true, r }

// A request is a prepared script call, or a row of one.
type request struct {
	script *script
	keys   []string // after ctl
	args   []string // after the prelude's
	field  string   // of a value row: fields of one batch are distinct
}

// poolLane is the lane of a pool, found without making its key anew.
func (s *Store) poolLane(typ string) *lane {
	if l, ok := s.pools.Load(typ); ok {
		return l.(*lane)
	}
	l := s.lane(s.pool(typ))
	s.pools.Store(typ, l)
	return l
}

func (s *Store) lane(key string) *lane {
	if l, ok := s.lanes.Load(key); ok {
		return l.(*lane)
	}
	l, _ := s.lanes.LoadOrStore(key, &lane{s: s, key: key, writer: s.writer, view: view{number: 1}})
	return l.(*lane)
}

// submit puts a call into the lane and waits for its answer.
func (l *lane) submit(ctx context.Context, c *call) answer {
	for {
		c.next = l.incoming.Load()
		if l.incoming.CompareAndSwap(c.next, c) {
			break
		}
	}
	if l.busy.CompareAndSwap(false, true) { // nobody is in flight: the caller sends by itself
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

// take takes the next batch: calls from the front of the queue, as far as they
// can travel together. nil where nobody waits.
func (l *lane) take() *batch {
	l.collect()
	var b *batch
	size, n := 0, 0
	for _, c := range l.queue {
		if b != nil && !b.takes(c, size) {
			break
		}
		n++
		if !c.state.CompareAndSwap(callWaiting, callTaken) {
			continue // the caller is gone
		}
		if b == nil {
			b = &batch{kind: c.kind, formed: c.came, calls: make([]*call, 0, len(l.queue)-n+1)}
		}
		b.calls = append(b.calls, c)
		size += c.size
	}
	l.queue = slices.Delete(l.queue, 0, n)
	return b
}

// takes reports whether the batch, of this size, has room for one more call.
func (b *batch) takes(c *call, size int) bool {
	if b.kind != c.kind || b.kind == soloBatch || len(b.calls) >= maxBatchOps || size+c.size > maxBatchBytes {
		return false
	}
	if b.kind == valueBatch {
		for _, other := range b.calls {
			if other.row.field == c.row.field {
				return false
			}
		}
	}
	return true
}

// lead takes the first batch, on the goroutine of the caller that it began
// with; a goroutine of the lane goes on where there is more to do.
func (l *lane) lead() {
	if b := l.take(); b != nil {
		if w := l.begin(b); !w.step() {
			l.s.active.Add(1)
			go l.run(w)
			return
		}
	}
	if len(l.queue) > 0 || !l.rest() {
		l.s.active.Add(1)
		go l.run(nil)
	}
}

// rest ends being busy, with an empty queue. It returns false where a call came
// in just then, and this goroutine is to go on.
func (l *lane) rest() bool {
	l.busy.Store(false)
	return l.incoming.Load() == nil || !l.busy.CompareAndSwap(false, true)
}

// run works until the lane is empty.
func (l *lane) run(w *work) {
	defer l.s.active.Done()
	for {
		if w == nil {
			l.gather()
			b := l.take()
			if b == nil {
				if l.rest() {
					return
				}
				continue
			}
			w = l.begin(b)
		}
		for !w.step() {
			select {
			case <-time.After(w.pause()):
			case <-l.s.stop:
				w.abandon()
				l.drain()
				return
			}
			l.expire()
		}
		w = nil
	}
}

// gather lets those who have just been answered go first, as long as more of
// them come back: what they do next then travels in this batch and not behind
// it. Nobody waits for a time to pass; a few turns in which nobody came are
// because some of them may be running on another processor.
func (l *lane) gather() {
	const patience = 10
	last := l.incoming.Load()
	for idle := 0; idle < patience; idle++ {
		runtime.Gosched()
		if now := l.incoming.Load(); now != last {
			last, idle = now, 0
		}
	}
}

// expire answers calls that waited too long behind a batch without an outcome:
// they were never sent.
func (l *lane) expire() {
	l.collect()
	n := 0
	for _, c := range l.queue {
		if time.Since(c.came) <= l.s.opts.RetryFor {
			break
		}
		n++
		if c.state.CompareAndSwap(callWaiting, callTaken) {
			c.answerResult(poolkeeper.Result{Err: poolkeeper.Errorf(poolkeeper.ErrUnavailable,
				"an earlier op on the same key has had no answer from Redis for %v", l.s.opts.RetryFor)})
			c.done <- struct{}{}
		}
	}
	l.queue = slices.Delete(l.queue, 0, n)
}

// drain answers everything that waits when the store is closed.
func (l *lane) drain() {
	for {
		if b := l.take(); b != nil {
			b.fail(&poolkeeper.Error{Err: poolkeeper.ErrClosed})
		} else if l.rest() {
			return
		}
	}
}

// finish lets the callers go. From then on their calls are not the lane's.
func (b *batch) finish() {
	for i, c := range b.calls {
		b.calls[i] = nil
		if c.done != nil {
			c.done <- struct{}{}
		}
	}
}

// fail answers all calls of a batch that have no result yet, and lets the
// callers go.
func (b *batch) fail(err error) {
	for _, c := range b.calls {
		if !c.answered {
			c.answerResult(poolkeeper.Result{Err: err})
		}
	}
	b.finish()
}

// orphan is the batch without its callers, who are about to be let go: what is
// found out about it later reaches nobody.
func (b *batch) orphan() *batch {
	o := &batch{kind: b.kind, formed: b.formed}
	for _, c := range b.calls {
		op := c.op
		if op != nil {
			copied := *op
			op = &copied
		}
		o.calls = append(o.calls, &call{kind: c.kind, op: op, row: c.row, id: c.id, turns: c.turns,
			answer: answer{answered: c.answered, result: c.result}})
	}
	return o
}
