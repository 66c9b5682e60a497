package queue

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

var (
	_ poolkeeper.Watcher      = (*Queue)(nil)
	_ poolkeeper.Meter        = (*Queue)(nil)
	_ poolkeeper.ImportMarker = (*Queue)(nil)
	_ poolkeeper.AsideKeeper  = (*Queue)(nil)
)

// Watch makes the layer a poolkeeper.Watcher, as what it is over may be one. It
// tells of what is in the store: not of what waits.
func (q *Queue) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	src, err := q.readable()
	if err != nil {
		return err
	}
	err = poolkeeper.New(src, nil).Watch(ctx, fn)
	q.suspect() // it may be away, also where nobody writes
	return err
}

// MarkImport makes the layer a poolkeeper.ImportMarker. What it is over need not
// be one: then nothing is marked.
func (q *Queue) MarkImport(ctx context.Context, run string, unfinished bool) error {
	src := q.src.Load()
	if src == nil {
		return errAway
	}
	if m, ok := src.Source.(poolkeeper.ImportMarker); ok {
		return m.MarkImport(ctx, run, unfinished)
	}
	return nil
}

// Pending implements poolkeeper.AsideKeeper. The store is not asked.
func (q *Queue) Pending(ctx context.Context) (*poolkeeper.Pending, error) {
	return q.log.Pending(ctx)
}

// RetryAside implements poolkeeper.AsideKeeper. What is queued again is brought to
// the store at once where that is there: the backlog says that its keys have ops.
func (q *Queue) RetryAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return q.log.RetryAside(ctx, pick)
}

// DiscardAside implements poolkeeper.AsideKeeper.
func (q *Queue) DiscardAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return q.log.DiscardAside(ctx, pick)
}
