package backlog

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Spool = (*Backlog)(nil)

// Freeze implements poolkeeper.Spool.
func (b *Backlog) Freeze(f *poolkeeper.Frozen) error {
	b.gate.RLock()
	defer b.gate.RUnlock()
	fresh, records, err := b.fresh(f)
	if err != nil {
		return err
	}
	b.mu.Lock()
	known := b.programs[f.ProgramName] != nil
	if b.overtakes(f) {
		b.mu.Unlock()
		return errOvertakes
	}
	for _, op := range f.Ops {
		if e := b.entries[op.Entry]; op.Entry != 0 && (e == nil || e.frozen != 0) {
			b.mu.Unlock()
			return poolkeeper.Errorf(poolkeeper.ErrInternal, "op %d of a request does not wait", op.Entry)
		}
	}
	b.mu.Unlock()
	if !known {
		records = append([][]byte{programOf(f.ProgramName, f.Program)}, records...)
	}
	rec := encodeFrozen(f)
	records = append(records, rec)
	return b.write(context.Background(), func(first uint64) {
		if !known {
			b.programs[f.ProgramName] = &program{f.Program, first}
			first++
		}
		for i := range f.Ops {
			if e := fresh[i]; e != nil {
				e.Entry, e.seq = first, first
				f.Ops[i].Entry = first
				first++
				b.enter(e)
				b.queued(e.QueuedOp, true)
			}
		}
		f.Number = first
		b.freeze(&frozen{f, int64(len(rec)), first})
	}, records...)
}

// overtakes reports whether a request would go out before ops that belong in front of
// it: they were rescued when a replay had taken its ops already.
func (b *Backlog) overtakes(f *poolkeeper.Frozen) bool {
	own := uint64(0)
	for _, op := range f.Ops {
		e := b.entries[op.Entry]
		if e == nil { // of a caller who waits, and sent by now
			return false
		}
		own = max(own, e.rescue)
	}
	for _, e := range b.lanes[f.Key].entries {
		if e.rescue <= own {
			return false
		}
		if !e.gone && !e.taken && e.frozen == 0 {
			return true
		}
	}
	return false
}

var errOvertakes = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "what the store has lost is applied again before it")

// fresh makes entries of the ops of a request that are new.
func (b *Backlog) fresh(f *poolkeeper.Frozen) (fresh map[int]*entry, records [][]byte, err error) {
	fresh = map[int]*entry{}
	for i := range f.Ops {
		if f.Ops[i].Entry != 0 {
			continue
		}
		data, err := poolkeeper.EncodeOp(&f.Ops[i].Op)
		if err != nil {
			return nil, nil, err
		}
		fresh[i] = &entry{QueuedOp: f.Ops[i], bytes: int64(len(data)) + overhead}
		records = append(records, append([]byte{opRecord}, data...))
	}
	return fresh, records, nil
}

func programOf(name string, source []byte) []byte {
	w := record(programRecord)
	w.text([]byte(name))
	w.text(source)
	return w
}

// encodeFrozen writes a request. One without a number, and ops without one, get
// those of their records: the ops stand right before it.
func encodeFrozen(f *poolkeeper.Frozen) []byte {
	w := record(frozenRecord)
	w.number(f.Number, uint64(f.At))
	w.text([]byte(f.ProgramName))
	w.text(f.Request)
	w.number(uint64(len(f.Ops)))
	for _, op := range f.Ops {
		w.number(op.Entry)
	}
	return w
}

// freeze takes note of a request whose ops are there.
func (b *Backlog) freeze(f *frozen) {
	b.frozen[f.Number] = f
	b.bytes += f.bytes
	b.lanes[f.Key].frozen++
	for _, op := range f.Ops {
		if e := b.entries[op.Entry]; e != nil {
			if b.hooks.Sent != nil && !e.touched {
				b.hooks.Sent(e.QueuedOp)
			}
			e.frozen, e.touched = f.Number, true
		}
	}
}

// Frozen are the requests on their way, in their order.
func (b *Backlog) Frozen() []*poolkeeper.Frozen {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*poolkeeper.Frozen, 0, len(b.frozen))
	for _, n := range sortedKeys(b.frozen) {
		f := b.frozen[n].Frozen
		f.Program = b.programs[f.ProgramName].source
		all = append(all, f)
	}
	return all
}

// Settle implements poolkeeper.Spool.
func (b *Backlog) Settle(f *poolkeeper.Frozen, results []poolkeeper.Result) error {
	numbers := make([]uint64, len(f.Ops))
	for i, op := range f.Ops {
		numbers[i] = op.Entry
	}
	return b.resolve(f.Number, numbers, results)
}

// Resolve says what became of ops that no request decided; those of a result
// without Status and Err wait on.
func (b *Backlog) Resolve(numbers []uint64, results []poolkeeper.Result) error {
	return b.resolve(0, numbers, results)
}

func (b *Backlog) resolve(number uint64, numbers []uint64, results []poolkeeper.Result) error {
	err := func() error {
		b.gate.RLock()
		defer b.gate.RUnlock()
		now := b.now()
		w := record(settleRecord)
		w.number(number, uint64(now), uint64(len(numbers)))
		for i, n := range numbers {
			w.number(n, outcomeOf(results[i]))
			if outcomeOf(results[i]) == refused {
				w.text(encodeResult(results[i]))
			}
		}
		return b.write(context.Background(), func(seq uint64) { b.settle(number, now, seq, numbers, results) }, w)
	}()
	if err == nil {
		b.tidy()
	}
	return err
}

func outcomeOf(r poolkeeper.Result) uint64 {
	switch {
	case r.Err != nil:
		return refused
	case r.Status == "":
		return goesOn
	}
	return applied
}

// parted has ops that go on forget their origin, where others that were in the
// request with them, so many in all, do not.
func parted(left []*entry, of int) {
	if len(left) == of {
		return
	}
	for _, e := range left {
		e.Origin = ""
	}
}

// settle takes note of a settlement.
func (b *Backlog) settle(number uint64, at int64, seq uint64, numbers []uint64, results []poolkeeper.Result) {
	f := b.frozen[number]
	if number != 0 && f == nil {
		return // it was settled before
	}
	if f != nil {
		delete(b.frozen, number)
		b.bytes -= f.bytes
		b.lanes[f.Key].frozen--
	}
	var left []*entry
	for i, n := range numbers {
		e := b.entries[n]
		if e == nil || e.frozen != number {
			continue
		}
		e.frozen = 0
		switch outcomeOf(results[i]) {
		case goesOn:
			left = append(left, e)
			continue
		case refused:
			b.setAside(&Aside{Entry: n, Op: e.Op, Reason: reasonOf(results[i].Err), At: at, Err: results[i].Err}, e.bytes, seq)
		}
		b.end(e)
		b.settled(e.QueuedOp, results[i])
	}
	parted(left, len(numbers))
	if f != nil && b.hooks.Thawed != nil {
		b.hooks.Thawed(f.Key)
	}
}
