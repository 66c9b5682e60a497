package backlog

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// Dropped is what was given up of one provider for want of room, since ever.
type Dropped = poolkeeper.DroppedOps

type droppedKey struct {
	key  poolkeeper.Key
	id   string
	kind poolkeeper.OpKind
}

// Dropped lists it.
func (b *Backlog) Dropped() []Dropped {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.droppedLocked()
}

func (b *Backlog) droppedLocked() []Dropped {
	all := make([]Dropped, 0, len(b.ledger))
	for _, d := range b.ledger {
		all = append(all, *d)
	}
	slices.SortFunc(all, func(x, y Dropped) int {
		return cmp.Or(cmp.Compare(x.Key.Type, y.Key.Type), cmp.Compare(x.ID, y.ID), cmp.Compare(x.Kind, y.Kind))
	})
	return all
}

// reserve makes room for bytes, or says why not. What has to go for that is taken:
// it is given up with the same write that needs the room.
func (b *Backlog) reserve(bytes int64) (drop []*entry, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	need := b.bytes + bytes - b.opts.MaxBytes
	if need > 0 && b.opts.DropOldest {
		drop, need = b.oldest(need)
	}
	if need > 0 {
		for _, e := range drop {
			e.taken = false
		}
		return nil, errFull
	}
	b.bytes += bytes
	return drop, nil
}

// oldest takes the oldest ops on runtime state that were never sent, as many as
// have so many bytes; need is what is missing then.
func (b *Backlog) oldest(need int64) (drop []*entry, left int64) {
	// A little more than is needed, so that not every op comes here.
	need += min(b.opts.MaxBytes/16, 1<<20)
	var can []*entry
	for _, e := range b.entries {
		if e.free() && e.folding == 0 && e.Op.IsRuntime() {
			can = append(can, e)
		}
	}
	slices.SortFunc(can, func(x, y *entry) int { return cmp.Compare(x.Entry, y.Entry) })
	for _, e := range can {
		if need <= 0 {
			break
		}
		e.taken = true
		drop = append(drop, e)
		need -= e.bytes
	}
	return drop, need - min(b.opts.MaxBytes/16, 1<<20)
}

func (b *Backlog) dropRecord(drop []*entry) []byte {
	w := record(dropRecord)
	w.number(uint64(b.now()), uint64(len(drop)))
	for _, e := range drop {
		w.number(e.Entry)
	}
	return w
}

// dropAll notes in the ledger what is given up.
func (b *Backlog) dropAll(drop []*entry, at int64) {
	for _, e := range drop {
		b.note(e, at)
		b.end(e)
		b.settled(e.QueuedOp, poolkeeper.Result{Err: errDropped})
	}
	b.opts.Logger.Warn("ops that wait for the store were given up for want of room", "ops", len(drop))
}

// note puts an op into the ledger.
func (b *Backlog) note(e *entry, at int64) {
	k := droppedKey{e.Op.Key, e.Op.ID, e.Op.Kind}
	d := b.ledger[k]
	if d == nil {
		d = &Dropped{Key: k.key, ID: k.id, Kind: k.kind, First: at}
		b.ledger[k] = d
	}
	d.Ops++
	d.N += e.Op.N
	d.Last = at
}

var errDropped = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "given up, as the journal was full")

func (b *Backlog) ledgerRecord() []byte {
	all := make([]*Dropped, 0, len(b.ledger))
	for _, d := range b.ledger {
		all = append(all, d)
	}
	data, err := json.Marshal(all)
	if err != nil {
		data = []byte("[]") // numbers and strings always marshal
	}
	return append([]byte{ledgerRecord}, data...)
}
