package poolkeeper

import (
	"context"
	"time"
)

// A Meter is a [Backend] that can be measured. A layer over a Backend that is
// one is one too.
type Meter interface {
	// Measure tells how the Backend is doing. It may be called at any time and
	// from any goroutine, holds up no op, and returns when ctx ends. What
	// cannot be found out is left at its zero.
	Measure(ctx context.Context) Measures
}

// Measures are figures of a Backend: of its work since it was opened, and of
// what it keeps now.
type Measures struct {
	// Connections to the server that are open.
	Connections int64
	// LanesWaiting is how many keys have ops that wait for a batch to land.
	LanesWaiting int64
	// Batches says how many ops travelled together.
	Batches BatchSizes
	// Resent is how many batches had to be sent again.
	Resent uint64
	// Size is nil where the store could not be asked.
	Size *Size
	// Copy is nil where reads are served from no copy.
	Copy *CopyMeasures
	// Queue is nil where nothing is queued while the store is away.
	Queue *QueueMeasures
}

// QueueMeasures are figures of the ops that wait for the store.
type QueueMeasures struct {
	QueueInfo
	Mode Mode
	// InMode is for how long the Mode has lasted.
	InMode time.Duration
	// Queued are the ops that were queued, and Settled those that wait no more.
	Queued, Settled uint64
	// Transitions counts how often a mode began.
	Transitions map[Mode]uint64
}

// BatchBounds are the upper bounds of the counts of [BatchSizes], but for the
// last one, which has none.
var BatchBounds = [...]int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}

// BatchSizes counts batches by how many ops they had.
type BatchSizes struct {
	Counts [len(BatchBounds) + 1]uint64
	Ops    uint64 // in all of them
}

// A Size is how much a store keeps.
type Size struct {
	Pools, Providers int64
	// UsedBytes and MaxBytes are those of the server's memory; 0 where there is
	// no server, or no limit.
	UsedBytes, MaxBytes int64
}

// CopyMeasures are figures of a copy of a store, from which reads are served.
type CopyMeasures struct {
	Made bool // else reads ask the store
	// Age is for how long the copy has not been known to be current; 0 where it is.
	Age time.Duration
	// Changes are those that were told, and Known those of them that the copy
	// had already. Gaps are places where one was missed.
	Changes, Known, Gaps uint64
	// Reloads are pools that were loaded whole, by the cause.
	Reloads map[string]uint64
	// Lost says how often changes ceased to be told, Failed how often something
	// could not be loaded, and Older how often the store had something older
	// than the copy.
	Lost, Failed, Older uint64
	// Waits are calls that waited until something that was written was in the
	// copy, and Waited for how long all of them did.
	Waits  uint64
	Waited time.Duration
}
