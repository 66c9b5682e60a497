package replica

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/feed"
)

// Watch implements poolkeeper.Watcher: it tells what comes into the copy, when it
// is there. So what it tells can be read through the Replica, and however many
// watch, the source is watched once.
func (r *Replica) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	queue, err := r.listen(ctx)
	if err != nil {
		return err
	}
	defer func() {
		r.mu.Lock()
		delete(r.listeners, queue)
		r.mu.Unlock()
	}()
	fn(poolkeeper.Change{Kind: poolkeeper.ChangeReady})
	return queue.Each(ctx, func(c poolkeeper.Change) error {
		fn(c)
		return nil
	})
}

func (r *Replica) listen(ctx context.Context) (*feed.Queue[poolkeeper.Change], error) {
	r.made(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case r.closed.Load():
		return nil, &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	case !r.up && r.trouble != nil:
		return nil, r.trouble
	case r.view.Load() == nil:
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the copy of the store is not made yet")
	}
	queue := feed.New[poolkeeper.Change](feed.MaxItems, feed.MaxBytes)
	r.listeners[queue] = struct{}{}
	return queue, nil
}

// tell tells those who watch of what is in the copy now.
func (r *Replica) tell(c poolkeeper.Change) {
	if r.opts.Noticed != nil {
		r.opts.Noticed(c.Key)
	}
	for queue := range r.listeners {
		queue.Put(c, 256+len(c.Definition)+256*len(c.States))
	}
}

// deafen ends their watching, as something may have been missed.
func (r *Replica) deafen(err error) {
	for queue := range r.listeners {
		queue.End(err)
	}
	clear(r.listeners)
}
