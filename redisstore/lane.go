package redisstore

import (
	"context"
	"runtime"
	"slices"
	"sync"
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

	mu    sync.Mutex
	queue []*batch // waiting; the first is taken next
	busy  bool     // somebody is taking batches

	// Owned by whoever is busy.
	writer    string // the id that its sequences are under
	seq       uint64
	last      time.Time // when a sequence was used
	resent    bool
	providers map[string]*known // see runtime.go
}

// A batch is ops of one lane that travel together. kind says which can.
type batch struct {
	kind   batchKind
	calls  []call
	size   int
	taken  bool          // guarded by the lane's mu
	formed time.Time     // when the first call came
	done   chan struct{} // closed when every call has its result
}

type batchKind uint8

const (
	usageBatch  batchKind = iota
	decideBatch           // other ops on runtime state
	valueBatch            // values of one key
	soloBatch             // one prepared script call
)

// A call is one op in a batch.
type call struct {
	op        *poolkeeper.Op
	row       *request // what a value or solo batch sends for it
	id        string   // the provider that it is for, after aliases
	turns     int      // how often it was sent on: to a new id, or with new literals
	cancelled bool
	answered  bool
	result    poolkeeper.Result
	answer    string // of a value or solo batch
}

func (c *call) answerText(text string, rev poolkeeper.Revision) {
	c.answered, c.answer, c.result.Revision = true, text, rev
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
	l, _ := s.lanes.LoadOrStore(key, &lane{s: s, key: key, writer: s.writer})
	return l.(*lane)
}

// submit puts calls into the lane and waits for their results. The calls go
// into one batch as far as they fit, in their order. It returns a copy of them.
func (l *lane) submit(ctx context.Context, kind batchKind, c call, size int) call {
	l.mu.Lock()
	var b *batch
	if n := len(l.queue); n > 0 && l.queue[n-1].takes(kind, &c, size) {
		b = l.queue[n-1]
	} else {
		b = &batch{kind: kind, formed: time.Now(), done: make(chan struct{})}
		l.queue = append(l.queue, b)
	}
	i := len(b.calls)
	b.calls = append(b.calls, c)
	b.size += size
	lead := !l.busy
	l.busy = true
	l.mu.Unlock()

	if lead { // nobody is in flight: the caller sends by itself
		l.lead()
	}
	if done := ctx.Done(); done != nil {
		select {
		case <-b.done:
		case <-done:
			if c, ok := l.cancel(ctx, b, i); ok {
				return c
			}
		}
	} else {
		<-b.done
	}
	return b.calls[i]
}

// takes reports whether the batch has room for one more call.
func (b *batch) takes(kind batchKind, c *call, size int) bool {
	if b.taken || b.kind != kind || kind == soloBatch || len(b.calls) >= maxBatchOps || b.size+size > maxBatchBytes {
		return false
	}
	if kind == valueBatch {
		for i := range b.calls {
			if b.calls[i].row.field == c.row.field {
				return false
			}
		}
	}
	return true
}

// cancel answers a call whose context ended: surely not applied where its
// batch was not taken yet. ok is false where the result is there after all.
func (l *lane) cancel(ctx context.Context, b *batch, i int) (c call, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-b.done:
		return call{}, false
	default:
	}
	if !b.taken {
		b.calls[i].cancelled = true
		return call{result: poolkeeper.Result{Err: ctx.Err()}}, true
	}
	return call{result: poolkeeper.Result{Err: poolkeeper.Errorf(poolkeeper.ErrIndeterminate,
		"the caller gave up while the op was under way: %v", ctx.Err())}}, true
}

// lead takes the first batch, on the goroutine of the caller that it began
// with; a goroutine of the lane goes on where there is more to do.
func (l *lane) lead() {
	b := l.take()
	if b == nil {
		return
	}
	w := l.begin(b)
	if !w.step() {
		l.s.active.Add(1)
		go l.run(w)
		return
	}
	l.mu.Lock()
	more := len(l.queue) > 0
	if !more {
		l.busy = false
	}
	l.mu.Unlock()
	if more {
		l.s.active.Add(1)
		go l.run(nil)
	}
}

// take takes the next batch; nil, and no longer busy, where there is none.
func (l *lane) take() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.busy = false
		return nil
	}
	b := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	b.taken = true
	return b
}

// run works until the lane is empty.
func (l *lane) run(w *work) {
	defer l.s.active.Done()
	for {
		if w == nil {
			l.gather()
			b := l.take()
			if b == nil {
				return
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
// it. Nobody waits for a time to pass.
func (l *lane) gather() {
	const most = 16
	for n, i := -1, 0; i < most; i++ {
		runtime.Gosched()
		l.mu.Lock()
		now := 0
		if len(l.queue) > 0 {
			now = len(l.queue[0].calls)
		}
		l.mu.Unlock()
		if now == n {
			return
		}
		n = now
	}
}

// expire answers batches that waited too long behind one without an outcome:
// they were never sent.
func (l *lane) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) > 0 && time.Since(l.queue[0].formed) > l.s.opts.RetryFor {
		b := l.queue[0]
		l.queue = l.queue[1:]
		b.taken = true
		b.fail(poolkeeper.Errorf(poolkeeper.ErrUnavailable, "an earlier op on the same key has had no answer from Redis for %v", l.s.opts.RetryFor))
	}
}

// drain answers everything that waits when the store is closed.
func (l *lane) drain() {
	for b := l.take(); b != nil; b = l.take() {
		b.fail(&poolkeeper.Error{Err: poolkeeper.ErrClosed})
	}
}

// fail answers all calls of a batch that have no result yet, and lets the
// callers go.
func (b *batch) fail(err error) {
	for i := range b.calls {
		if c := &b.calls[i]; !c.answered {
			c.answered, c.result = true, poolkeeper.Result{Err: err}
		}
	}
	close(b.done)
}

// orphan is the batch without its callers, who were let go: what is found out
// about it later reaches nobody.
func (b *batch) orphan() *batch {
	return &batch{kind: b.kind, calls: slices.Clone(b.calls), size: b.size, taken: true, formed: b.formed, done: make(chan struct{})}
}
