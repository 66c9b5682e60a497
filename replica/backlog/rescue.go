package backlog

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Rescuer = (*Backlog)(nil)

// Rescue implements poolkeeper.Rescuer. The ops are written whatever the bound says:
// they were acknowledged before. They stand in front of all others of their key,
// those of a later rescue in front of those of an earlier one, and nothing is added
// to them.
func (b *Backlog) Rescue(key poolkeeper.Key, ops []poolkeeper.QueuedOp) error {
	if len(ops) == 0 {
		return nil
	}
	b.gate.RLock()
	defer b.gate.RUnlock()
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	entries, records := make([]*entry, len(ops)), make([][]byte, len(ops))
	for i := range ops {
		data, err := poolkeeper.EncodeOp(&ops[i].Op)
		if err != nil {
			return err
		}
		w := record(rescueRecord)
		w.number(uint64(i))
		w.text([]byte(ops[i].Origin))
		entries[i], records[i] = &entry{QueuedOp: ops[i], bytes: int64(len(data)+len(ops[i].Origin)) + overhead}, append(w, data...)
	}
	return b.write(context.Background(), func(first uint64) {
		for i, e := range entries {
			ops[i].Entry = first + uint64(i)
			e.Entry, e.seq, e.rescue = first+uint64(i), first+uint64(i), first
			b.enter(e)
			b.queued(e.QueuedOp, true) // the copy has it, from before it was lost
		}
		b.opts.Logger.Warn("ops that the store has lost are queued again", "key", key.String(), "ops", len(ops))
	}, records...)
}

type lossKey struct {
	key    poolkeeper.Key
	reason string
}

// Lose implements poolkeeper.Rescuer.
func (b *Backlog) Lose(l poolkeeper.Loss) error {
	b.gate.RLock()
	defer b.gate.RUnlock()
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return b.write(context.Background(), func(uint64) { b.lose(l) }, append([]byte{lossRecord}, data...))
}

func (b *Backlog) lose(l poolkeeper.Loss) {
	k := lossKey{l.Key, l.Reason}
	if b.losses[k] == nil {
		b.losses[k] = &poolkeeper.Loss{}
	}
	b.losses[k].Add(l)
}

// Lost lists what the store has lost for good since ever, as it was noted.
func (b *Backlog) Lost() []poolkeeper.Loss {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lostLocked()
}

func (b *Backlog) lostLocked() []poolkeeper.Loss {
	all := make([]poolkeeper.Loss, 0, len(b.losses))
	for _, l := range b.losses {
		all = append(all, *l)
	}
	slices.SortFunc(all, func(x, y poolkeeper.Loss) int {
		return cmp.Or(cmp.Compare(x.Key.String(), y.Key.String()), cmp.Compare(x.Reason, y.Reason))
	})
	return all
}

// lossesRecord is all of that.
func (b *Backlog) lossesRecord() []byte {
	data, err := json.Marshal(b.lostLocked())
	if err != nil {
		data = []byte("[]") // numbers and strings always marshal
	}
	return append([]byte{lossesRecord}, data...)
}

// rescued is a copy of an op that was rescued.
func rescued(e *entry) []byte {
	w := record(againRecord)
	w.number(e.Entry, e.rescue)
	w.text([]byte(e.Origin))
	data, err := poolkeeper.EncodeOp(&e.Op)
	if err != nil { // it was encoded before
		panic(err)
	}
	return append(w, data...)
}
