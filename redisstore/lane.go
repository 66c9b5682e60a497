package redisstore

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
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
	seq       uint64
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

func (s *Store) lane(key string) *lane {
	if l, ok := s.lanes.Load(key); ok {
		return l.(*lane)
	}
	l, _ := s.lanes.LoadOrStore(key, &lane{s: s, key: key})
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

// work is a batch on its way: what is frozen of it, and how often it was sent.
type work struct {
	*lane
	batch   *batch
	open    []int // calls without a result yet
	request *request
	fresh   bool // K may be without ctl
	sent    bool // a copy may still reach Redis: the request is frozen
	tries   int

	orphaned bool  // the callers were let go
	rowOf    []int // of a usage batch: the row of each open call
}

// step sends the batch once. It returns true when the batch is done with, and
// false where it is to be sent again after a pause.
func (w *work) step() bool {
	for {
		if w.request == nil {
			if err := w.prepare(); err != nil {
				return w.refused(err)
			}
			if w.request == nil { // every call has its result
				close(w.batch.done)
				return true
			}
		}
		epoch, err := w.s.ready(context.Background())
		if err != nil {
			return w.refused(&failure{err: err, again: isOutage(err)})
		}
		keys := append([]string{w.s.ctl(w.key)}, w.request.keys...)
		args := append([]string{epoch, w.s.writer, strconv.FormatUint(w.seq+1, 10), w.flags(),
			strconv.FormatInt(w.s.opts.Now().UnixMilli(), 10), w.s.publish, w.s.channel(epoch, w.key)}, w.request.args...)
		answer, err := w.request.script.run(context.Background(), w.s.client, keys, args)
		w.tries++
		if f := classify(err); f != nil {
			return w.refused(f)
		}
		switch {
		case strings.HasPrefix(answer, "OK "), strings.HasPrefix(answer, "NO "):
			if answer[0] == 'O' {
				w.seq++
			}
			w.sent, w.request, w.fresh, w.tries = false, nil, false, 0
			if err := w.accept(answer[3:]); err != nil {
				w.batch.fail(err)
				return true
			}
		case answer == "NEW":
			// The first write of anybody to this key: make sure that it is not
			// the emptiness of a Redis that lost everything.
			if err := w.confirmEpoch(epoch); err != nil {
				return w.refused(err)
			}
			w.fresh = true
		default:
			w.batch.fail(w.lost(answer))
			return true
		}
	}
}

// begin begins the work on a batch that was taken: calls that were cancelled
// before that are left out.
func (l *lane) begin(b *batch) *work {
	w := &work{lane: l, batch: b, open: make([]int, 0, len(b.calls))}
	for i := range b.calls {
		if !b.calls[i].cancelled {
			w.open = append(w.open, i)
		}
	}
	return w
}

// flags tell the script what it cannot know of the batch.
func (w *work) flags() string {
	flags := ""
	if w.fresh {
		flags = "n"
	}
	if w.sent {
		flags += "a"
	}
	return flags
}

// refused decides what an attempt without an answer, or with a refusal, means.
func (w *work) refused(f *failure) bool {
	w.sent = w.sent || f.sent
	if f.sent {
		w.resent = true
	}
	if !f.again && !w.sent {
		w.batch.fail(f.err)
		return true
	}
	if time.Since(w.batch.formed) < w.s.opts.RetryFor {
		return false
	}
	if !w.sent {
		w.batch.fail(f.err)
		return true
	}
	// The callers hear that the outcome is unknown; the lane goes on finding
	// it out, because nothing may overtake the batch.
	if !w.orphaned {
		orphan := w.batch.orphan()
		w.batch.fail(poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "no answer from Redis for %v", w.s.opts.RetryFor))
		w.batch, w.orphaned = orphan, true
	}
	return false
}

// pause is how long to wait before the batch is sent again.
func (w *work) pause() time.Duration {
	d := time.Millisecond << min(w.tries, 8)
	return d/2 + rand.N(d)
}

// abandon answers a batch whose outcome will not be known: the store closes.
func (w *work) abandon() {
	if w.sent {
		w.batch.fail(poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "the store was closed before an answer came"))
		return
	}
	w.batch.fail(&poolkeeper.Error{Err: poolkeeper.ErrClosed})
}

// confirmEpoch makes sure that the store is still the one that was opened.
func (w *work) confirmEpoch(epoch string) *failure {
	now, err := w.s.client.Do(context.Background(), w.s.client.B().Hget().Key(w.s.meta()).Field(metaEpoch).Build()).ToString()
	if err == nil && now == epoch {
		return nil
	}
	if err != nil && !isNil(err) {
		f := classify(err)
		f.sent = false // a read leaves nothing behind
		return f
	}
	return &failure{err: errEpoch}
}

var errEpoch = poolkeeper.Errorf(poolkeeper.ErrLost, "the store in Redis is gone, or is another one than the one that was opened").
	WithHint("Redis was emptied or restored; check it before anything is written")

// lost explains an answer that refuses the whole batch.
func (w *work) lost(answer string) error {
	switch answer {
	case "EPOCH":
		return errEpoch
	case "LOST":
		return poolkeeper.Errorf(poolkeeper.ErrLost, "Redis no longer has changes of %s that it had acknowledged", w.key).
			WithHint("Redis was restored from an older state; check it before anything is written")
	}
	return poolkeeper.Errorf(poolkeeper.ErrInternal, "unexpected answer %q from a script", firstLine(answer))
}

// prepare makes the request for the calls that are open.
func (w *work) prepare() *failure {
	if len(w.open) == 0 {
		return nil
	}
	switch w.batch.kind {
	case usageBatch:
		return w.prepareUsage()
	case decideBatch:
		return w.prepareDecide()
	case valueBatch:
		w.prepareValues()
	default:
		w.request = w.batch.calls[w.open[0]].row
	}
	return nil
}

// accept gives the calls their results from "<revision>;<results>".
func (w *work) accept(answer string) error {
	text, results, _ := strings.Cut(answer, ";")
	rev, err := parseRevision(text)
	if err != nil {
		return err
	}
	switch w.batch.kind {
	case usageBatch:
		return w.acceptUsage(rev, results)
	case decideBatch:
		return w.acceptDecide(rev, results)
	case valueBatch:
		for i, r := range strings.Split(results, ",") {
			w.batch.calls[w.open[i]].answerText(r, rev)
		}
	default:
		w.batch.calls[w.open[0]].answerText(results, rev)
	}
	w.open = w.open[:0]
	return nil
}

// parseRevision reads "<number> <writer> <sequence>", or "0".
func parseRevision(s string) (poolkeeper.Revision, error) {
	if s == "0" || s == "" {
		return poolkeeper.Revision{}, nil
	}
	var r poolkeeper.Revision
	first, rest, ok := strings.Cut(s, " ")
	writer, last, ok2 := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(first, 10, 64)
	seq, err2 := strconv.ParseUint(last, 10, 64)
	if !ok || !ok2 || err != nil || err2 != nil {
		return r, poolkeeper.Errorf(poolkeeper.ErrDamaged, "a stored revision cannot be read")
	}
	return poolkeeper.Revision{Number: n, Writer: writer, Seq: seq}, nil
}

func isOutage(err error) bool {
	return poolkeeper.ClassOf(err).Err == poolkeeper.ErrUnavailable
}

// unescapeResult reverses escape of the prelude.
func unescapeResult(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
