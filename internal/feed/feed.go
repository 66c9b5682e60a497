// Package feed hands items from those who make them to one who takes them,
// without ever holding up the first.
package feed

import (
	"context"
	"sync"

	"github.com/poolkeeper/poolkeeper"
)

// Limits of a Queue.
const (
	MaxItems = 1 << 16
	MaxBytes = 64 << 20
)

// A Queue is a bounded buffer between any number of makers and one taker. One
// whose taker is too slow ends.
type Queue[T any] struct {
	maxItems, maxBytes int

	mu    sync.Mutex
	items []T
	bytes int
	err   error
	wake  chan struct{} // holds a token where there may be something to take
}

// New returns a queue of at most so many items and bytes.
func New[T any](maxItems, maxBytes int) *Queue[T] {
	return &Queue[T]{maxItems: maxItems, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// Put adds an item of so many bytes. It never waits: where there is no room,
// the queue drops all that it has and ends with ErrUnavailable.
func (q *Queue[T]) Put(item T, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.err != nil:
		return
	case len(q.items) == q.maxItems || q.bytes+bytes > q.maxBytes:
		q.items, q.err = nil, errSlow
	default:
		q.items, q.bytes = append(q.items, item), q.bytes+bytes
	}
	q.signal()
}

var errSlow = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the watch was ended, as its reader is slower than the changes").
	WithHint("watch again, and load what is needed")

// End makes the queue end with an error once it is empty; the first counts.
func (q *Queue[T]) End(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
		q.signal()
	}
}

func (q *Queue[T]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Take waits for items, and returns all that there are, in the order in which
// they were put. It returns the error of ctx, or else that which ended the queue.
func (q *Queue[T]) Take(ctx context.Context) ([]T, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		q.mu.Lock()
		items, err := q.items, q.err
		q.items, q.bytes = nil, 0
		q.mu.Unlock()
		if len(items) > 0 {
			return items, nil
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-q.wake:
		}
	}
}

// Each calls fn with each item, until ctx or the queue ends, or fn fails.
func (q *Queue[T]) Each(ctx context.Context, fn func(T) error) error {
	for {
		items, err := q.Take(ctx)
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := fn(item); err != nil {
				return err
			}
		}
	}
}
