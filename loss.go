package poolkeeper

import "context"

// A Loss is what a store had acknowledged of one key, no longer has, and could not
// be given again: since this instance began, or where there is a journal since ever.
type Loss struct {
	Key Key `json:"key"`
	// Reason is the code of an error: lost where it was acknowledged longer ago than
	// the instance keeps what it has sent; else why it was refused when it was
	// applied again.
	Reason string `json:"reason"`
	// Ops is how many ops it was, N what they had added to usageCount. With AtMost
	// it may have been less.
	Ops    int64 `json:"ops"`
	N      int64 `json:"n,omitempty"`
	AtMost bool  `json:"atMost,omitempty"`
	First  int64 `json:"first"` // when it was found, for the first time and the last
	Last   int64 `json:"last"`
}

// Add adds another loss of the same key and reason up.
func (l *Loss) Add(o Loss) {
	if l.Ops == 0 && l.N == 0 {
		l.First = o.First
	}
	l.Key, l.Reason, l.Last = o.Key, o.Reason, o.Last
	l.Ops, l.N, l.AtMost = l.Ops+o.Ops, l.N+o.N, l.AtMost || o.AtMost
}

// A Rescuer is a [Spool] that takes what a store has lost.
type Rescuer interface {
	Spool
	// Rescue makes ops durable that a store had acknowledged and has lost, all or
	// none, with their origin: in their order, and in front of all others of their key.
	// It numbers them. They are replayed like any that are queued.
	Rescue(key Key, ops []QueuedOp) error
	// Lose notes a loss for good. It is synced before it returns.
	Lose(l Loss) error
}

// A Mender is a [Backend] that gives its store again what that had acknowledged and
// has lost.
type Mender interface {
	// Lost lists what it could not give again.
	Lost() []Loss
	// Unsettled returns what this instance still has of the ops on a key that were
	// acknowledged in revisions above a number, in their order: where the key is
	// put back as it was at that revision, they are missing. Increments of one
	// provider that were acknowledged together are one op.
	Unsettled(key Key, number uint64) []Op
	// Missing returns by key what this instance still has of ops that were
	// acknowledged, and that are not in a store that was put in the place of its own
	// ([MetaRecovered]), as that was put back from an instance that had not been told
	// of them.
	Missing(ctx context.Context, in Backend) (map[Key][]Op, error)
}
