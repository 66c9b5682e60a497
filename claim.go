package poolkeeper

import "context"

// A Claim says in a store that the ops of one journal are brought to it from one
// directory: of two copies of the journal one is told that it is not the only one.
type Claim struct {
	Journal string // which journal
	Mark    Mark   // what the store is to have
	// Known are marks of earlier claims, one of which the store has unless another
	// directory has claimed the journal since, or the store is older than they are.
	// The first one it had for sure; whether it had the others was never known.
	Known []Mark
}

// A Mark is one claim of a journal.
type Mark struct {
	Generation uint64 `json:"generation"` // from 1; grows with each claim
	Nonce      string `json:"nonce"`      // of no other claim
}

// A Claimer is a [Replayer] whose store remembers claims for at least 30 days.
type Claimer interface {
	// Claim has the store remember the mark in the place of one that is known, of an
	// older one than those, or of none. ErrConflict where the store has another: then
	// a copy of the journal was claimed. Claiming twice is no error, and a claim that
	// comes late takes no later one away. Other errors are those of Apply; after
	// ErrIndeterminate the mark is one that the store may have.
	Claim(ctx context.Context, c Claim) error
}
