package poolkeeper

import "context"

// currentReads is the key of the mark that [ReadCurrent] sets.
type currentReads struct{}

// ReadCurrent returns a context in which reads ask the store itself, where they
// would come from a copy otherwise, see [Viewer]: they wait for it, and fail
// where it is away. Whoever is going to write what follows from what is read
// reads so, or writes with a condition.
func ReadCurrent(ctx context.Context) context.Context {
	return context.WithValue(ctx, currentReads{}, true)
}

// ReadsCurrent reports whether reads in this context ask the store itself.
func ReadsCurrent(ctx context.Context) bool { return ctx.Value(currentReads{}) == true }

// readAny undoes [ReadCurrent], for what a write has to know and may be a moment old:
// else it could not wait for a store that is away.
func readAny(ctx context.Context) context.Context {
	return context.WithValue(ctx, currentReads{}, false)
}
