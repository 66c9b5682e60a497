package queue

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

var (
	_ poolkeeper.Watcher      = (*Queue)(nil)
	_ poolkeeper.Meter        = (*Queue)(nil)
	_ poolkeeper.ImportMarker = (*Queue)(nil)
)

// Watch makes the layer a poolkeeper.Watcher, as what it is over may be one. It
// tells of what is in the store: not of what waits.
func (q *Queue) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	src := q.src.Load()
	if src == nil {
		return errAway
	}
	return poolkeeper.New(src.Source, nil).Watch(ctx, fn)
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
