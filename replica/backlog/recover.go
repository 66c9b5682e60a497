package backlog

import (
	"encoding/json"

	"github.com/poolkeeper/poolkeeper"
)

// recover reads the journal. What a record refers to may be in a part that was
// given up: then a later record, which compaction has written, says it anew.
func (b *Backlog) recover() error {
	err := b.journal.Read(b.journal.First(), func(seq uint64, data []byte) error {
		if !b.replay(seq, data) {
			return poolkeeper.Errorf(poolkeeper.ErrDamaged, "record %d of the journal in %s cannot be read", seq, b.dir).
				WithHint("a newer version may have written it; look at it with: poolkeeper journal list")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.settleDown()
}

// settleDown makes the lanes of what the records have left.
func (b *Backlog) settleDown() error {
	entries := b.entries
	b.entries, b.bytes = map[uint64]*entry{}, 0
	for _, n := range sortedKeys(entries) {
		b.enter(entries[n])
	}
	for _, a := range b.aside {
		b.bytes += a.bytes
	}
	for _, f := range b.frozen {
		b.bytes += f.bytes
		b.lanes[f.Key].frozen++
	}
	b.doubt()
	for n, e := range b.entries {
		if e.frozen == 0 {
			continue
		}
		if e.touched = true; b.frozen[e.frozen] == nil {
			return poolkeeper.Errorf(poolkeeper.ErrDamaged, "the journal in %s misses the request that op %d is in", b.dir, n)
		}
	}
	return nil
}

// replay takes note of one record; false where it makes no sense. Lanes are made
// when all are read.
func (b *Backlog) replay(seq uint64, data []byte) bool {
	if len(data) == 0 {
		return false
	}
	r := reader{rest: data[1:]}
	switch data[0] {
	case opRecord:
		b.found(seq, seq, len(data)-1, r.op())
	case copyRecord:
		n := r.number()
		b.found(n, seq, len(r.rest), r.op())
	case foldRecord:
		n, add, at := r.number(), r.number(), r.number()
		if e := b.entries[n]; e != nil && !r.bad {
			e.Op.N += int64(add)
			e.Op.At = max(e.Op.At, int64(at))
		}
	case programRecord:
		name, source := r.text(), r.text()
		b.programs[string(name)] = &program{source, seq}
	case frozenRecord:
		b.foundFrozen(seq, len(data), &r)
	case settleRecord:
		b.foundSettled(seq, &r)
	case asideRecord:
		n, at, res := r.number(), r.number(), r.result()
		if e := b.entries[n]; e != nil && e.frozen != 0 {
			r.fail()
		} else if e != nil && !r.bad {
			b.aside[n] = &Aside{Entry: n, Op: e.Op, Reason: reasonOf(res.Err), At: int64(at), Err: res.Err, bytes: e.bytes, seq: seq}
			delete(b.entries, n)
		}
	case retryRecord:
		n, size := r.number(), len(r.rest)
		op := r.op()
		delete(b.aside, n)
		b.found(seq, seq, size, op)
	case discardRecord:
		r.number()
		for range r.count() {
			delete(b.aside, r.number())
		}
	case dropRecord:
		at := int64(r.number())
		for range r.count() {
			if e := b.entries[r.number()]; e != nil && e.frozen != 0 {
				r.fail()
			} else if e != nil {
				b.note(e, at)
				delete(b.entries, e.Entry)
			}
		}
	case ledgerRecord:
		var all []*Dropped
		if json.Unmarshal(r.rest, &all) != nil {
			return false
		}
		r.rest = nil
		clear(b.ledger)
		for _, d := range all {
			if d == nil {
				return false
			}
			b.ledger[droppedKey{d.Key, d.ID, d.Kind}] = d
		}
	case rescueRecord:
		i, size := r.number(), len(r.rest)
		origin := string(r.text())
		b.found(seq, seq, size, r.op())
		e := b.entries[seq]
		if e.rescue, e.Origin = seq-i, origin; i >= seq {
			r.fail()
		}
	case againRecord:
		n, first, size := r.number(), r.number(), len(r.rest)
		origin := string(r.text())
		b.found(n, seq, size, r.op())
		e := b.entries[n]
		if e.rescue, e.Origin = first, origin; first == 0 {
			r.fail()
		}
	case lossRecord:
		var l poolkeeper.Loss
		if json.Unmarshal(r.rest, &l) != nil {
			return false
		}
		r.rest = nil
		b.lose(l)
	case lossesRecord:
		var all []poolkeeper.Loss
		if json.Unmarshal(r.rest, &all) != nil {
			return false
		}
		r.rest = nil
		clear(b.losses)
		for _, l := range all {
			b.lose(l)
		}
	case epochRecord:
		b.epoch = string(r.text())
	case claimRecord:
		b.foundClaim(&r)
	default:
		return false
	}
	return !r.bad && len(r.rest) == 0
}

func (b *Backlog) found(n, seq uint64, size int, op poolkeeper.Op) {
	b.entries[n] = &entry{QueuedOp: poolkeeper.QueuedOp{Entry: n, Op: op}, bytes: int64(size) + overhead, seq: seq}
}

func (b *Backlog) foundFrozen(seq uint64, size int, r *reader) {
	f := &poolkeeper.Frozen{Number: r.number(), At: int64(r.number()), ProgramName: string(r.text()), Request: r.text()}
	count := r.count()
	fresh, whole := uint64(0), true
	for range count {
		n := r.number()
		f.Ops = append(f.Ops, poolkeeper.QueuedOp{Entry: n})
		if n == 0 {
			fresh++
		}
	}
	if f.Number == 0 {
		f.Number = seq
	}
	next := seq - fresh
	for i := range f.Ops {
		if f.Ops[i].Entry == 0 {
			f.Ops[i].Entry = next
			next++
		}
		if e := b.entries[f.Ops[i].Entry]; e != nil {
			if e.frozen != 0 && e.frozen != f.Number {
				r.fail()
			}
			e.frozen = f.Number
			f.Ops[i].Op, f.Key = e.Op, e.Op.Key
		} else {
			whole = false
		}
	}
	if !r.bad && whole && count > 0 && b.programs[f.ProgramName] != nil {
		b.frozen[f.Number] = &frozen{f, int64(size), seq}
	}
}

func (b *Backlog) foundSettled(seq uint64, r *reader) {
	number, at := r.number(), int64(r.number())
	delete(b.frozen, number)
	count := r.count()
	var left []*entry
	for range count {
		n, outcome := r.number(), r.number()
		e := b.entries[n]
		if e != nil && e.frozen != number {
			e = nil // it is in another request
		}
		switch outcome {
		case goesOn:
			if e != nil {
				e.frozen, e.touched = 0, true
				left = append(left, e)
			}
			continue
		case applied:
		case refused:
			if res := r.result(); e != nil && !r.bad {
				b.aside[n] = &Aside{Entry: n, Op: e.Op, Reason: reasonOf(res.Err), At: at, Err: res.Err, bytes: e.bytes, seq: seq}
			}
		default:
			r.fail()
		}
		if e != nil {
			delete(b.entries, n)
		}
	}
	parted(left, count)
}
