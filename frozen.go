package poolkeeper

import "context"

// A QueuedOp is an op that was acknowledged before the store has it, with the
// number under which a [Spool] keeps it.
type QueuedOp struct {
	Entry uint64 // from 1; 0 where the Spool has not seen it yet
	Op    Op
	// Origin says, in a form of the [Backend]'s own, as what its store had acknowledged
	// the op before it lost it. Those that follow each other with the same one go to
	// Replay together. It is forgotten where others of them were settled without the op.
	Origin string
}

// A Frozen is a request of a [Backend] to its store, as it was sent or is about
// to be. It is sent again identical until its outcome is known, by this process
// or by the next one.
type Frozen struct {
	Number uint64 // that the Spool gave it
	Key    Key    // of all its ops
	At     int64  // when it was formed, in milliseconds since 1970
	// Ops are those whose outcome the request decides, in their order.
	Ops []QueuedOp
	// Request is what the Backend needs to send it again, in an encoding of its
	// own. It does not hold the ops.
	Request []byte
	// Program is what the store executes for it, which many requests have in
	// common, and ProgramName a name that no two programs share.
	ProgramName string
	Program     []byte
}

// A Spool makes durable what is on its way to a store, so that neither an outage
// nor the end of the process loses it. All methods may be called from any number
// of goroutines.
type Spool interface {
	// Freeze makes a request durable, with those of its ops that have no number
	// yet: it numbers them, and the request. It returns when they are synced. After
	// an error nothing of the request is, and nothing may have been sent of it
	// that the caller does not answer for itself.
	Freeze(f *Frozen) error

	// Settle says what became of the ops of a frozen request, in their order, and
	// returns when that is synced: from then on the request is not sent again. A
	// result without Status and Err says that the op was surely not applied, and
	// goes on in a later request; one with an Err that the op was refused: it is
	// for a person to decide, with [ErrLost] because the store no longer has what
	// the request builds on. After an error Settle is to be called again.
	Settle(f *Frozen, results []Result) error
}

// A Replayer is a [Backend] that brings to the store what a [Spool] keeps.
type Replayer interface {
	// Resume sends a frozen request of an earlier process again, identical, until
	// the Spool is told of its outcome; it does not wait for that. It comes before
	// anything else of the key, so it must be called before that. ErrDamaged where
	// the request cannot be read, ErrInvalid where it belongs to another store.
	Resume(f *Frozen) error

	// Replay applies ops of one key, in their order, and answers each as Apply
	// does. Every request is frozen before it is sent the first time. There is no
	// bound of time: it ends with the last answer, or where ctx ends, or at the
	// first op that cannot be applied now, behind which none is. There must be one
	// Replay of a key at a time.
	Replay(ctx context.Context, ops []QueuedOp) []Result

	// Hold makes Apply refuse the ops of a key as ErrUnavailable, because earlier
	// ones are queued; or ends that. Resume, and a Freeze of what Apply was given,
	// begin it by themselves.
	Hold(key Key, on bool)
}
