package backlog

import (
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
	if a.Err == b.doubtful { // that was said of all of them
		return
	}
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

func sortedKeys[V any](m map[uint64]V) []uint64 { return slices.Sorted(maps.Keys(m)) }
