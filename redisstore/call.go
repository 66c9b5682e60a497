package redisstore

import (
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

// A batch is ops of one lane that travel together. kind says which can.
type batch struct {
	kind   batchKind
	calls  []*call
	formed time.Time // when the first call came
	queued bool      // the Spool has its ops: each request is frozen before it is sent
	bare   bool      // its ops are none that a Spool takes
	again  bool      // its ops are applied again, as Redis has lost them
	origin string    // see origin.go
}

type batchKind uint8

const (
	usageBatch  batchKind = iota
	decideBatch           // other ops on runtime state
	valueBatch            // values of one key
	soloBatch             // one prepared script call
	keyedBatch            // increments with idempotency keys
	checkBatch            // nothing: whether Redis still has what it acknowledged
)

// A call is one op on its way through a lane.
type call struct {
	kind   batchKind
	size   int // bound of the bytes that it adds to a batch
	op     *poolkeeper.Op
	entry  uint64   // the number of the op in the Spool; 0 where that does not have it
	bare   bool     // it is none that a Spool takes
	origin string   // of what Redis has lost, see origin.go
	row    *request // what a value or solo batch sends for it
	id     string   // the provider that it is for, after aliases
	turns  int      // how often it was sent on: to a new id, or with new literals

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

func newCall(kind batchKind, op *poolkeeper.Op, entry uint64) *call {
	c := callPool.Get().(*call)
	c.kind, c.op, c.entry = kind, op, entry
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

// refuse answers a call that is in no batch.
func (c *call) refuse(err error) {
	c.answerResult(poolkeeper.Result{Err: err})
	c.done <- struct{}{}
}

func (c *call) answerResult(r poolkeeper.Result) { c.answered, c.result = true, r }

// A request is a prepared script call, or a row of one.
type request struct {
	script *script
	keys   []string // after ctl
	args   []string // after the prelude's
	field  string   // of a value row: fields of one batch are distinct
	origin string   // that the script is to note
}

// takes reports whether the batch, of this size, has room for one more call.
func (b *batch) takes(c *call, size, limit int) bool {
	switch {
	case b.kind != c.kind, b.kind == soloBatch, b.kind == checkBatch, b.queued != (c.entry != 0), b.bare != c.bare, b.origin != c.origin:
		return false
	case b.origin != "": // all of them, however many
		return true
	case len(b.calls) >= limit, size+c.size > maxBatchBytes:
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
	b.answerAll(err)
	b.finish()
}

// answerAll makes an error the result of all calls that have none yet.
func (b *batch) answerAll(err error) {
	for _, c := range b.calls {
		if !c.answered {
			c.answerResult(poolkeeper.Result{Err: err})
		}
	}
}

// orphan is the batch without its callers, who are about to be let go: what is
// found out about it later reaches nobody.
func (b *batch) orphan() *batch {
	o := &batch{kind: b.kind, formed: b.formed, queued: b.queued, bare: b.bare, again: b.again, origin: b.origin}
	for _, c := range b.calls {
		op := c.op
		if op != nil {
			copied := *op
			op = &copied
		}
		o.calls = append(o.calls, &call{kind: c.kind, op: op, entry: c.entry, bare: c.bare, row: c.row, id: c.id, turns: c.turns,
			answer: answer{answered: c.answered, result: c.result}})
	}
	return o
}
