package poolkeeper

import "context"

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
