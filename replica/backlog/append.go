package backlog

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

// Append makes an op durable behind all of its key that wait, and returns its
// number. An increment that nothing came after is added to the one that waits
// already, whose number is returned. Errors: that of ctx where it ended before;
// ErrUnavailable where there is no room, or the disk has failed. Then the op is
// surely not queued; only ErrIndeterminate leaves that open.
func (b *Backlog) Append(ctx context.Context, op poolkeeper.Op) (uint64, error) {
	n, err := b.append(ctx, &op)
	if err == nil {
		b.tidy()
	}
	return n, err
}

func (b *Backlog) append(ctx context.Context, op *poolkeeper.Op) (uint64, error) {
	b.gate.RLock()
	defer b.gate.RUnlock()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return 0, &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	if l := b.lanes[op.Key]; l != nil {
		if op.Key.IsValue() { // what stands behind was decided later, whenever its caller began
			op.At = max(op.At, l.at)
		}
		if base := l.base(op); base != nil {
			base.folding++
			base.coming += op.N
			b.mu.Unlock()
			return base.Entry, b.fold(ctx, base, op)
		}
	}
	b.mu.Unlock()
	data, err := poolkeeper.EncodeOp(op)
	if err != nil {
		return 0, err
	}
	e := &entry{QueuedOp: poolkeeper.QueuedOp{Op: *op}, bytes: int64(len(data)) + overhead}
	drop, err := b.reserve(e.bytes)
	if err != nil {
		return 0, err
	}
	records := make([][]byte, 0, 2)
	if len(drop) > 0 {
		records = append(records, b.dropRecord(drop))
	}
	rec := make(writer, 0, len(data)+1)
	records = append(records, append(append(rec, opRecord), data...))
	err = b.write(ctx, func(first uint64) {
		if len(drop) > 0 {
			b.dropAll(drop, b.now())
			first++
		}
		b.bytes -= e.bytes // what was reserved
		e.Entry, e.seq = first, first
		b.enter(e)
		b.queued(e.QueuedOp, false)
	}, records...)
	if err != nil {
		b.mu.Lock()
		b.bytes -= e.bytes
		for _, d := range drop {
			d.taken = false
		}
		b.mu.Unlock()
		return 0, err
	}
	return e.Entry, nil
}

// fold adds an increment to one that waits.
func (b *Backlog) fold(ctx context.Context, base *entry, op *poolkeeper.Op) error {
	w := record(foldRecord)
	w.number(base.Entry, uint64(op.N), uint64(op.At))
	end := func() {
		base.coming -= op.N
		if base.folding--; base.folding == 0 {
			b.unfolded.Broadcast()
		}
	}
	err := b.write(ctx, func(uint64) {
		end()
		base.Op.N += op.N
		base.Op.At = max(base.Op.At, op.At)
		b.queued(poolkeeper.QueuedOp{Entry: base.Entry, Op: *op}, false)
	}, w)
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		end()
	}
	return err
}

func (b *Backlog) queued(op poolkeeper.QueuedOp, sent bool) {
	if b.hooks.Queued != nil {
		b.hooks.Queued(op, sent)
	}
}

func (b *Backlog) settled(op poolkeeper.QueuedOp, res poolkeeper.Result) {
	if b.hooks.Settled != nil {
		b.hooks.Settled(op, res)
	}
}

func (b *Backlog) now() int64 { return b.opts.Now().UnixMilli() }

// Take returns ops of a key that are to be replayed next, in their order, and at
// most so many. From then on nothing is added to them, until they are settled or
// given back. None where requests of the key are on their way: those come first.
func (b *Backlog) Take(key poolkeeper.Key, most int) []poolkeeper.QueuedOp {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lanes[key]
	if l == nil || l.frozen > 0 {
		return nil
	}
	var took []*entry
	for _, e := range l.entries {
		if n := len(took); n >= most && (e.Origin == "" || took[n-1].Origin != e.Origin) {
			break
		}
		if !e.gone {
			e.taken = true
			took = append(took, e)
		}
	}
	ops := make([]poolkeeper.QueuedOp, 0, len(took))
	for _, e := range took {
		for e.folding > 0 {
			b.unfolded.Wait()
		}
		if !e.gone {
			ops = append(ops, e.QueuedOp)
		}
	}
	return ops
}

// GiveBack undoes a Take, as far as the ops still wait.
func (b *Backlog) GiveBack(ops []poolkeeper.QueuedOp) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, op := range ops {
		if e := b.entries[op.Entry]; e != nil {
			e.taken = false
		}
	}
}

// Waiting reports whether an op still waits.
func (b *Backlog) Waiting(number uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[number] != nil
}
