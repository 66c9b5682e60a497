package backlog

import (
	"context"
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// An Aside is an op that was acknowledged and could not be applied: a person, or
// a repair, decides.
type Aside struct {
	Entry  uint64
	Op     poolkeeper.Op // it may hold a secret
	Reason string        // the code of the error
	At     int64         // when it was set aside
	Err    error
	bytes  int64
	seq    uint64
}

// reasonOf is the code of an error.
func reasonOf(err error) string { return poolkeeper.ClassOf(err).Code }

func (b *Backlog) setAside(a *Aside, bytes int64, seq uint64) {
	a.bytes, a.seq = bytes, seq
	b.aside[a.Entry] = a
	b.bytes += bytes
	b.opts.Logger.Warn("an op that was queued could not be applied, and is set aside",
		"entry", a.Entry, "op", string(a.Op.Kind), "of", a.Op.Subject(), "reason", a.Err)
}

func (b *Backlog) asideGone(n uint64) {
	if a := b.aside[n]; a != nil {
		delete(b.aside, n)
		b.bytes -= a.bytes
	}
}

// Aside lists the ops that are set aside, in the order in which they were queued.
func (b *Backlog) Aside() []Aside {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Aside, 0, len(b.aside))
	for _, n := range sortedKeys(b.aside) {
		all = append(all, *b.aside[n])
	}
	return all
}

// Retry queues an op that is set aside again, behind all of its key, and returns
// its new number. ErrNotFound where it is not set aside.
func (b *Backlog) Retry(n uint64) (uint64, error) {
	b.gate.Lock() // so that nobody else does the same
	defer b.gate.Unlock()
	a, err := b.asideOf(n)
	if err != nil {
		return 0, err
	}
	data, err := poolkeeper.EncodeOp(&a.Op)
	if err != nil {
		return 0, err
	}
	w := record(retryRecord)
	w.number(n)
	e := &entry{QueuedOp: poolkeeper.QueuedOp{Op: a.Op}, bytes: a.bytes}
	err = b.write(context.Background(), func(seq uint64) {
		b.asideGone(n)
		e.Entry, e.seq = seq, seq
		b.enter(e)
		b.queued(e.QueuedOp, false)
	}, append(w, data...))
	return e.Entry, err
}

// Discard gives up an op that is set aside.
func (b *Backlog) Discard(n uint64) error {
	b.gate.RLock()
	defer b.gate.RUnlock()
	if _, err := b.asideOf(n); err != nil {
		return err
	}
	w := record(discardRecord)
	w.number(uint64(b.now()), 1, n)
	return b.write(context.Background(), func(uint64) { b.asideGone(n) }, w)
}

func (b *Backlog) asideOf(n uint64) (Aside, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.aside[n]; a != nil {
		return *a, nil
	}
	return Aside{}, poolkeeper.Errorf(poolkeeper.ErrNotFound, "no op with the number %d is set aside", n).
		WithHint("list them: poolkeeper journal list")
}

func sortedKeys[V any](m map[uint64]V) []uint64 { return slices.Sorted(maps.Keys(m)) }
