package redisstore

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/poolkeeper/poolkeeper"
)

// What Redis has acknowledged it may lose: a replica that lagged becomes the
// primary, a server starts from an older file. So an instance keeps the ops of its
// last batches, lane by lane, in their order: the tail. Of what is older it keeps
// how much it was, see account.go.

// A stretch is batches of one lane that follow each other: increments as one run of
// bytes, a few for each provider, so that the tail is long and costs the collector
// nothing; all else as the ops themselves. The lane's mu guards it.
type stretch struct {
	lane        *lane
	begun, last int64 // when its first and last batch were acknowledged
	ids         *idTable
	data        []byte
	ops         []keptOp
	size        int64
	gone        bool
}

// A keptOp is an op that was acknowledged, or where op is nil a request on the way
// to one, which may be repeated.
type keptOp struct {
	op  *poolkeeper.Op
	row *request
	of  *owed // the batch that it was lost with; of ops that Redis has, nil
}

// An idTable numbers ids.
type idTable struct{ ids []string }

const (
	stretchBytes = 64 << 10
	stretchOps   = 256
	stretchBase  = 256 // bytes that any takes
)

// A tail is what is kept of one lane.
type tail struct {
	stretches []*stretch // the oldest first
	accounts  []*account // of each writer that this instance had here
	owed      []*owed    // what Redis has lost, in its order: it comes after the stretches
	ids       *idTable
	seen      uint64 // the number of the last revision that was acknowledged
}

// tails is what the tails of all lanes take, and which is the oldest.
type tails struct {
	bytes atomic.Int64
	mu    sync.Mutex
	queue []*stretch // in the order in which they were begun
}

func (s *Store) keepsTail() bool { return s.opts.TailTime > 0 && s.opts.TailBytes > 0 }

// keep takes note of a batch that was acknowledged: which of its calls, those that
// were open before, were applied by it. The lock is held.
func (w *work) keep(rev poolkeeper.Revision, was []int) {
	if !w.s.keepsTail() {
		return
	}
	t := &w.tail
	number, a := t.account(w.writer)
	var ops, n int64
	now := w.s.redisNow()
	if w.batch.kind == usageBatch {
		ops, n = w.keepRows(rev, number, now, was)
	} else {
		ops, n = w.keepCalls(rev, number, now, was)
	}
	a.add(w.seq, ops, n, now)
	t.seen = max(t.seen, rev.Number)
}

// keepRows keeps the rows of a batch of increments.
func (w *work) keepRows(rev poolkeeper.Revision, writer int, now int64, was []int) (ops, n int64) {
	rows := 0
	for i := range w.rows {
		if w.rows[i].applied {
			rows++
		}
	}
	if rows == 0 {
		return 0, 0
	}
	for _, i := range was {
		if cl := w.batch.calls[i]; cl.answered && cl.result.Err == nil {
			ops++
		}
	}
	c := w.stretchFor(now)
	before := len(c.data)
	b := keptBatch{writer: writer, from: w.seq, seq: w.seq, number: rev.Number, counted: ops}
	c.data = header(c.data, &b, now, rows)
	for i := range w.rows {
		r := &w.rows[i]
		if !r.applied {
			continue
		}
		n += r.n
		k := r.known
		if r.old != "" { // it leads to the provider before its rename, and after
			k = w.know(r.old)
		}
		c.data = appendRow(c.data, w.number(k), r.n, r.at-now)
	}
	w.grown(c, int64(len(c.data)-before))
	return ops, n
}

// keepCalls keeps the ops of any other batch.
func (w *work) keepCalls(rev poolkeeper.Revision, writer int, now int64, was []int) (ops, n int64) {
	var kept []keptOp
	size := int64(0)
	for _, i := range was {
		c := w.batch.calls[i]
		if !c.answered || c.result.Err != nil || c.text == "~" || c.text == "<" || c.text == "held" || c.text == "gone" {
			continue
		}
		if c.op == nil {
			if c.row != nil {
				kept = append(kept, keptOp{row: c.row})
				size += 256
			}
			continue
		}
		ops++
		n += counts(c.op)
		kept = append(kept, keptOp{op: c.op})
		size += sizeOf(c.op)
	}
	if len(kept) == 0 {
		return ops, n
	}
	into := w.stretchFor(now)
	before := len(into.data)
	b := keptBatch{writer: writer, from: w.seq, seq: w.seq, number: rev.Number, counted: ops}
	into.data = header(into.data, &b, now, 0)
	into.data = appendNumber(into.data, len(kept))
	into.ops = append(into.ops, kept...)
	w.grown(into, size+int64(len(into.data)-before))
	return ops, n
}

// counts is what an op adds to usageCount.
func counts(op *poolkeeper.Op) int64 {
	if op.Kind == poolkeeper.OpUsage || op.Kind == poolkeeper.OpSuccess {
		return op.N
	}
	return 0
}

// sizeOf is about how much memory an op takes.
func sizeOf(op *poolkeeper.Op) int64 {
	n := 400 + len(op.ID) + len(op.Data) + len(op.Key.Name)
	if op.Message != nil {
		n += len(*op.Message)
	}
	for i := range op.Providers {
		n += 64 + len(op.Providers[i].Definition)
	}
	for _, id := range op.Order {
		n += 16 + len(id)
	}
	return int64(n)
}

// header begins a batch: writer, first sequence and how many more it is of, the number
// of the revision, when, how many ops it was, and how many rows follow, or 0 for ops.
func header(data []byte, b *keptBatch, at int64, rows int) []byte {
	data = appendNumber(data, b.writer)
	data = binary.AppendUvarint(data, b.from)
	data = binary.AppendUvarint(data, b.seq-b.from)
	data = binary.AppendUvarint(data, b.number)
	data = binary.AppendUvarint(data, uint64(at))
	data = binary.AppendUvarint(data, uint64(b.counted))
	return appendNumber(data, rows)
}

func appendNumber(data []byte, n int) []byte { return binary.AppendUvarint(data, uint64(n)) }

// appendRow writes a row: the number of the provider, what it adds, and how much
// later than the batch it was.
func appendRow(data []byte, id uint64, n, later int64) []byte {
	data = binary.AppendUvarint(data, id)
	data = binary.AppendUvarint(data, uint64(n))
	return binary.AppendVarint(data, later)
}

// number is that of an id in the table.
func (l *lane) number(k *known) uint64 {
	if k.table != l.tail.ids {
		k.table, k.index = l.tail.ids, uint64(len(l.tail.ids.ids))
		l.tail.ids.ids = append(l.tail.ids.ids, k.id())
	}
	return k.index
}

// stretchFor is the stretch that the next batch goes into.
func (l *lane) stretchFor(now int64) *stretch {
	t := &l.tail
	if n := len(t.stretches); n > 0 {
		c := t.stretches[n-1]
		if len(c.data) < stretchBytes && len(c.ops) < stretchOps && now-c.begun < max(l.s.opts.TailTime.Milliseconds()/4, 1) && c.ids == t.ids {
			c.last = now
			return c
		}
	}
	if t.ids == nil || len(t.ids.ids) > maxKnown {
		t.ids = &idTable{}
	}
	c := &stretch{lane: l, begun: now, last: now, ids: t.ids}
	t.stretches = append(t.stretches, c)
	l.grown(c, stretchBase)
	l.s.tails.mu.Lock()
	l.s.tails.queue = append(l.s.tails.queue, c)
	l.s.tails.mu.Unlock()
	return c
}

func (l *lane) grown(c *stretch, by int64) {
	c.size += by
	l.s.tails.bytes.Add(by)
}

// give gives a stretch up, which has to be the oldest of its lane. The lock is held.
func (l *lane) give(c *stretch) {
	if c.gone {
		return
	}
	c.gone = true
	l.s.tails.bytes.Add(-c.size)
	if t := &l.tail; len(t.stretches) > 0 && t.stretches[0] == c {
		t.stretches[0] = nil
		t.stretches = t.stretches[1:]
	}
	c.data, c.ops = nil, nil
}

// trim gives up the oldest stretches, as far as they take too much, or are from
// before a moment.
func (s *Store) trim(before int64) {
	t := &s.tails
	for t.bytes.Load() > s.opts.TailBytes || before > 0 {
		t.mu.Lock()
		if len(t.queue) == 0 {
			t.mu.Unlock()
			return
		}
		c := t.queue[0]
		t.mu.Unlock()
		c.lane.mu.Lock()
		stays := !c.gone && t.bytes.Load() <= s.opts.TailBytes && c.last >= before
		if !stays {
			c.lane.give(c)
		}
		c.lane.mu.Unlock()
		if stays {
			return
		}
		t.mu.Lock()
		if len(t.queue) > 0 && t.queue[0] == c {
			t.queue[0] = nil
			t.queue = t.queue[1:]
		}
		t.mu.Unlock()
	}
}

// A kept batch is one that was read from a tail.
type keptBatch struct {
	writer  int
	from    uint64 // before seq where it is what another process had acknowledged
	seq     uint64
	number  uint64 // of the revision
	at      int64
	counted int64 // how many ops it was
	ops     []keptOp
	whole   bool   // they were kept as they are
	raw     []byte // what the stretch says of it
}

// sum is what the batch has added to usageCount.
func (b *keptBatch) sum() (n int64) {
	for _, k := range b.ops {
		if k.op != nil {
			n += counts(k.op)
		}
	}
	return n
}

// isRuntime reports whether all ops of the batch are on runtime state.
func (b *keptBatch) isRuntime() bool {
	return !slices.ContainsFunc(b.ops, func(k keptOp) bool { return k.op == nil || !k.op.IsRuntime() })
}

// batches reads a stretch. Increments become ops again.
func (c *stretch) batches(key poolkeeper.Key) []keptBatch {
	var all []keptBatch
	d, used := decoder{rest: c.data}, 0
	for len(d.rest) > 0 && !d.bad {
		begin := d.rest
		b := keptBatch{writer: int(d.number()), from: d.number(), seq: d.number(), number: d.number(), at: int64(d.number()), counted: int64(d.number())}
		b.seq += b.from
		if rows := d.number(); rows > 0 {
			for range rows {
				id, n := d.number(), int64(d.number())
				at, size := binary.Varint(d.rest)
				d.rest = d.rest[size:]
				b.ops = append(b.ops, keptOp{op: &poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: key, ID: c.ids.ids[id], N: n, At: b.at + at}})
			}
		} else {
			n := int(d.number())
			b.whole, b.ops = true, c.ops[used:used+n]
			used += n
		}
		b.raw = begin[:len(begin)-len(d.rest)]
		all = append(all, b)
	}
	return all
}

// account is that of a writer, with its number.
func (t *tail) account(writer string) (int, *account) {
	for i := len(t.accounts) - 1; i >= 0; i-- {
		if t.accounts[i].writer == writer {
			return i, t.accounts[i]
		}
	}
	a := &account{writer: writer}
	t.accounts = append(t.accounts, a)
	return len(t.accounts) - 1, a
}
