package poolkeeper

import "context"

// An AsideKeeper is a Backend that acknowledges ops before its store has them, and
// sets aside those that cannot be applied then, for a person to decide.
type AsideKeeper interface {
	// Pending says what waits, and what was set aside, given up or lost.
	Pending(ctx context.Context) (*Pending, error)

	// RetryAside queues ops that are set aside again, in the order in which they
	// were queued first, each behind all others of its key; DiscardAside gives them
	// up for good. All that are picked, or none: ErrNotFound names one that is not
	// set aside. ErrInvalid where it is not said which; ErrClosed; ErrUnavailable
	// where it surely was not done, ErrIndeterminate where it may have been.
	RetryAside(ctx context.Context, pick Pick) (Decided, error)
	DiscardAside(ctx context.Context, pick Pick) (Decided, error)
}

// Pending is what was acknowledged and is not in the store: what waits for it, and
// what, since ever, will not be in it.
type Pending struct {
	Queue   QueueInfo    `json:"queue"`
	Aside   []AsideOp    `json:"aside"`   // in the order in which they were queued
	Dropped []DroppedOps `json:"dropped"` // given up for want of room, by pool, id and kind
	Lost    []Loss       `json:"lost"`    // lost by the store for good, by key and reason
}

// An AsideOp is an op that could not be applied. What it holds is not told: that
// may be a secret.
type AsideOp struct {
	Entry  uint64 `json:"entry"`  // its number
	Kind   OpKind `json:"kind"`   // what it does
	Of     string `json:"of"`     // and to what
	Reason string `json:"reason"` // the code of the error
	Text   string `json:"text"`   // the error in words
	At     int64  `json:"at"`     // when it was set aside, in milliseconds since 1970
}

// DroppedOps are what was given up of one provider for want of room, since ever.
type DroppedOps struct {
	Key  Key    `json:"key"`
	ID   string `json:"id"`
	Kind OpKind `json:"kind"`
	// Ops is how many, N what they would have added to usageCount.
	Ops   int64 `json:"ops"`
	N     int64 `json:"n,omitempty"`
	First int64 `json:"first"` // when the first one was given up, and the last one
	Last  int64 `json:"last"`
}

// A Pick names ops that are set aside: some by their numbers, or all.
type Pick struct {
	Entries []uint64 `json:"entries,omitempty"`
	All     bool     `json:"all,omitempty"`
}

// Validate reports whether it says which: nothing is never all.
func (p Pick) Validate() error {
	if p.All == (len(p.Entries) > 0) {
		return Errorf(ErrInvalid, "it is not said which ops are meant").WithHint("name them by their numbers, or say all, and not both")
	}
	return nil
}

// Decided is what became of a decision.
type Decided struct {
	Changed int `json:"changed"` // ops that were queued again, or given up
	Aside   int `json:"aside"`   // that are still set aside
}

// asideKeeper is the Backend, where it queues.
func (s *Store) asideKeeper() (AsideKeeper, error) {
	if k, ok := s.b.(AsideKeeper); ok {
		return k, nil
	}
	return nil, Errorf(ErrForbidden, "this store queues nothing").
		WithHint("only a service on Redis does: what it cannot apply after an outage is set aside")
}

// Pending says what waits for the store. ErrForbidden where it queues nothing.
func (s *Store) Pending(ctx context.Context) (*Pending, error) {
	k, err := s.asideKeeper()
	if err != nil {
		return nil, err
	}
	return k.Pending(ctx)
}

// RetryAside queues ops that are set aside again, see [AsideKeeper].
func (s *Store) RetryAside(ctx context.Context, pick Pick) (Decided, error) {
	k, err := s.asideKeeper()
	if err != nil {
		return Decided{}, err
	}
	return k.RetryAside(ctx, pick)
}

// DiscardAside gives up ops that are set aside, see [AsideKeeper].
func (s *Store) DiscardAside(ctx context.Context, pick Pick) (Decided, error) {
	k, err := s.asideKeeper()
	if err != nil {
		return Decided{}, err
	}
	return k.DiscardAside(ctx, pick)
}
