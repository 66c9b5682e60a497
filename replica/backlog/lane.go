package backlog

import (
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// An entry is an op that waits.
type entry struct {
	poolkeeper.QueuedOp
	bytes   int64
	seq     uint64 // of the record that has it
	frozen  uint64 // the request that it is in; 0 where it is in none
	touched bool   // it was in one before
	taken   bool   // a replay has it
	gone    bool   // it waits no more
	folding int    // increments on their way into it
	coming  int64  // what they add
	rescue  uint64 // the first entry of those that it was rescued with; 0 where it was not
}

// free reports whether an entry may still be changed.
func (e *entry) free() bool {
	return !e.gone && !e.taken && !e.touched && e.frozen == 0 && e.rescue == 0
}

// A lane is the entries of one key, in their order.
type lane struct {
	key     poolkeeper.Key
	entries []*entry
	live    int               // those that are not gone
	frozen  int               // requests on their way
	at      int64             // when the last op was decided
	tail    map[string]*entry // the increment that the next one of a provider is folded into
}

func (l *lane) add(e *entry) {
	l.live++
	l.at = max(l.at, e.Op.At)
	if e.rescue != 0 { // in front of those that were not, or earlier
		i := slices.IndexFunc(l.entries, func(o *entry) bool { return o.rescue < e.rescue })
		if i < 0 {
			i = len(l.entries)
		}
		l.entries = slices.Insert(l.entries, i, e)
		return
	}
	l.entries = append(l.entries, e)
	l.follow(&e.Op, e)
}

// follow takes note of what comes last for a provider.
func (l *lane) follow(op *poolkeeper.Op, e *entry) {
	switch {
	case foldable(op):
		if l.tail == nil {
			l.tail = map[string]*entry{}
		}
		l.tail[op.ID] = e
	case op.Kind == poolkeeper.OpUsage, op.Kind == poolkeeper.OpError, op.Kind == poolkeeper.OpHealth, op.Kind == poolkeeper.OpRefresh, op.Kind == poolkeeper.OpSuccess:
		delete(l.tail, op.ID)
	default: // under whatever id: it may be another one of the same provider
		clear(l.tail)
	}
}

func foldable(op *poolkeeper.Op) bool {
	return op.Kind == poolkeeper.OpUsage && op.IdempotencyKey == ""
}

// base is the entry that an increment is folded into, or nil.
func (l *lane) base(op *poolkeeper.Op) *entry {
	if !foldable(op) {
		return nil
	}
	e := l.tail[op.ID]
	if e == nil || !e.free() || e.Op.N+e.coming > poolkeeper.MaxUsage-op.N {
		return nil
	}
	return e
}

// end takes an entry off the lane.
func (l *lane) end(e *entry) {
	e.gone = true
	l.live--
	if l.tail[e.Op.ID] == e {
		delete(l.tail, e.Op.ID)
	}
	n := 0
	for n < len(l.entries) && l.entries[n].gone {
		l.entries[n] = nil
		n++
	}
	l.entries = l.entries[n:]
	if len(l.entries) > 1000 && l.live < len(l.entries)/2 {
		l.entries = slices.DeleteFunc(l.entries, func(e *entry) bool { return e.gone })
	}
}
