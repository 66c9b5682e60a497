package poolkeeper

import "context"

// A ChangeKind says what a [Change] is of.
type ChangeKind string

// The kinds of changes.
const (
	// ChangeReady is the first of a watch, and of no key: what is acknowledged
	// after it is told, and what was acknowledged before it can be loaded.
	ChangeReady ChangeKind = "ready"
	// ChangeState is of the runtime state of providers of a pool: States.
	ChangeState ChangeKind = "state"
	// ChangePut is of a provider ID, which was added after the others, or got
	// another definition. Definition is nil where it is too big to be told: the
	// provider is to be loaded. States has what its runtime state became.
	ChangePut ChangeKind = "put"
	// ChangeDelete is of the provider ID, which is gone with its runtime state.
	ChangeDelete ChangeKind = "delete"
	// ChangeRename is of the provider ID, which is NewID from now on, at its
	// place and with its runtime state; Definition as for ChangePut.
	ChangeRename ChangeKind = "rename"
	// ChangePool is of a pool as a whole: it is to be loaded. It may be gone.
	// Without an After, that is so whatever is known of it.
	ChangePool ChangeKind = "pool"
	// ChangeTypes is of the order of the types. A pool whose type is no longer
	// among them is gone, though it may have been loaded as an empty one between
	// that it was deleted and this.
	ChangeTypes ChangeKind = "types"
	// ChangeValue is of the value of Key, which is to be loaded. It may be gone.
	// Without a name, it is of some or all values of that kind. The end of a
	// session by its time is not told.
	ChangeValue ChangeKind = "value"
)

// A Change is one change of a key, whole. Nothing of a token, password, session,
// document or file is in it but its name.
//
// One that cannot be told, as the store refuses its user to publish it, is not
// in a watch; Info warns of that.
type Change struct {
	Kind ChangeKind `json:"kind"`
	Key  Key        `json:"key"`
	// Before and After are revisions of the key. A change whose Before is the
	// After of the one that came before it on that key continues it; an After
	// that is not later than what is known is known; anything else is a gap, and
	// the key is to be loaded.
	Before Revision `json:"-"`
	After  Revision `json:"-"`

	ID         string          `json:"id,omitempty"`
	NewID      string          `json:"newId,omitempty"`
	Definition []byte          `json:"definition,omitempty"`
	States     []ProviderState `json:"states,omitempty"`
}

// A ProviderState is what became of some fields of a provider's runtime state.
type ProviderState struct {
	ID string `json:"id"`
	// State has the fields that were written, see [State.Get]. The others are as
	// they were; where Whole, there are no others.
	State State `json:"state"`
	Whole bool  `json:"whole,omitempty"`
}

// Over returns what a runtime state is after the change.
func (p *ProviderState) Over(old State) State {
	if p.Whole {
		return p.State
	}
	for f := range Field(NumFields) {
		if lit, ok := p.State.Get(f); ok {
			old.Set(f, lit)
		}
	}
	if p.State.DecidedAt != 0 {
		old.DecidedAt = p.State.DecidedAt
	}
	return old
}

// A Watcher is a Backend that tells of the changes to its store as they are
// made, by whatever instance.
type Watcher interface {
	// Watch calls fn with ChangeReady, and from then on with every change, until
	// ctx ends or it may have missed one. It returns the error of ctx then, or
	// else ErrUnavailable, ErrClosed, or one of [Backend.Load]: whoever needs to
	// know everything loads it again after the next Watch has begun with
	// ChangeReady.
	//
	// Close ends it, and does not wait for fn.
	//
	// Calls of fn do not overlap, and changes of one key come in their order. A
	// watch whose fn is slow is ended by ErrUnavailable, and holds up nobody else:
	// fn may use the Backend. What the change points to must not be changed.
	Watch(ctx context.Context, fn func(Change)) error
}
