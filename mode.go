package poolkeeper

import "context"

// A Mode says how an instance serves that goes on while its store is away.
type Mode string

// The modes. In all of them reads come from the copy, as far as one was made. What
// is said of writes is said of those that can wait, see [Op.Queueable]; others are
// refused unless the store is there.
const (
	// ModeOnline: the store is there, and has all that was acknowledged.
	ModeOnline Mode = "online"
	// ModeReplaying: the store is there, and what was queued is brought to it.
	ModeReplaying Mode = "replaying"
	// ModeDegraded: the store is away, and writes are queued.
	ModeDegraded Mode = "degraded"
	// ModeFallback: the store has been away for so long that it counts as
	// persistent. Writes are queued, and the fallback directory is kept current.
	ModeFallback Mode = "fallback"
	// ModeEmpty: the store is there and was never initialised. Where there is a
	// directory to serve meanwhile, writes are queued.
	ModeEmpty Mode = "empty"
	// ModeForeign: there are keys in the store that Poolkeeper did not write.
	// Writes are refused.
	ModeForeign Mode = "foreign"
	// ModeLost: the store is not the one that was written to: empty now, or of
	// another content. It is not believed; writes are queued.
	ModeLost Mode = "lost"
	// ModeRefused: the store refuses the credentials or this version, for an
	// operator to mend. Writes are refused.
	ModeRefused Mode = "refused"
)

// Queues reports whether writes that can wait are queued in this mode, and not
// sent.
func (m Mode) Queues() bool {
	return m == ModeDegraded || m == ModeFallback || m == ModeEmpty || m == ModeLost
}

// Modes returns all modes.
func Modes() []Mode {
	return []Mode{ModeOnline, ModeReplaying, ModeDegraded, ModeFallback, ModeEmpty, ModeForeign, ModeLost, ModeRefused}
}

// A Recoverer is a [Backend] over a store that may lose everything, and that can be
// put back from what the Backend has.
type Recoverer interface {
	// Recover puts into a store that has lost everything what this Backend has of
	// it, and goes on with it; of several instances that do, one is first, and the
	// others go on with what that has put there, and say so, also where they had found it a
	// moment before they were asked. With adopt it goes on with the store
	// that is there instead, whatever that holds. Either way what is queued is brought
	// to it after that.
	//
	// Errors: ErrConflict where nothing is lost, or with adopt where that store is gone
	// on with already; ErrExists where the store is not
	// empty; ErrUnavailable where it is away, or there is nothing to put back;
	// ErrForbidden where the Backend cannot; others of [Backend.Restore].
	Recover(ctx context.Context, adopt bool) (Recovered, error)
}

// Recovered says what was put back; of what another instance has put there, nothing.
type Recovered struct {
	By        string `json:"by"` // "this", "other" or "adopted"
	Pools     int    `json:"pools"`
	Providers int    `json:"providers"`
	Tokens    int    `json:"tokens"`
	Documents int    `json:"documents"` // config included
	Sessions  int    `json:"sessions"`
	Files     int    `json:"files"`
	Problem   string `json:"problem,omitempty"` // why the carried files are not among it
}

// The values of Recovered.By.
const (
	RecoveredByThis  = "this"
	RecoveredByOther = "other"
	RecoveredAdopted = "adopted"
)

// MetaRecovered is the fact about a store that was put in the place of one that was
// lost: the epoch of that one.
const MetaRecovered = "recoveredFrom"

// A QueueInfo says how much was acknowledged that the store does not have yet.
type QueueInfo struct {
	Ops     int   `json:"ops"`     // that wait; increments that were added to another one are one with it
	Frozen  int   `json:"frozen"`  // requests that were sent, and whose outcome is not known
	Aside   int   `json:"aside"`   // ops that could not be applied, for a person to decide
	Bytes   int64 `json:"bytes"`   // of all that
	Dropped int64 `json:"dropped"` // ops that were ever given up for want of room
	Lost    int64 `json:"lost"`    // ops that the store has ever lost for good
	Durable bool  `json:"durable"` // whether it survives the process
}
