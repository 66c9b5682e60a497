package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// maxStreams is how many streams of events there may be at a time.
const maxStreams = 256

// ringLinger is how long a watch goes on after its last stream has ended, so
// that one that comes again goes on where it was.
const ringLinger = time.Minute

// A hub lets any number of streams share one watch of the store, which there is
// only while somebody asks for it.
type hub struct {
	store  *poolkeeper.Store
	linger time.Duration // ringLinger, but for tests

	mu      sync.Mutex
	ring    *ring // of the watch under way, or nil
	streams int
}

// join returns the ring of a watch that is ready, begun for this where there is
// none. leave must follow where there is no error.
func (h *hub) join(ctx context.Context) (*ring, error) {
	r, err := h.enter()
	if err != nil {
		return nil, err
	}
	select {
	case <-r.ready:
		return r, nil
	case <-r.done:
		select {
		case <-r.ready: // the stream says that it has ended
			return r, nil
		default:
		}
		err = r.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	h.leave()
	return nil, err
}

func (h *hub) enter() (*ring, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams == maxStreams {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "there are %d streams of events already", maxStreams).
			WithHint("end one, or share it")
	}
	h.streams++
	if h.ring == nil {
		ctx, stop := context.WithCancel(context.Background())
		h.ring = newRing(stop)
		go h.watch(ctx, h.ring)
	}
	return h.ring, nil
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams--; h.streams > 0 || h.ring == nil {
		return
	}
	r := h.ring
	time.AfterFunc(h.linger, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.streams == 0 && h.ring == r {
			h.ring = nil
			r.stop()
		}
	})
}

// watch fills a ring until the watch ends.
func (h *hub) watch(ctx context.Context, r *ring) {
	defer r.stop()
	err := h.store.Watch(ctx, r.take)
	if errors.Is(err, context.Canceled) {
		err = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the watch has ended")
	}
	h.mu.Lock()
	if h.ring == r {
		h.ring = nil
	}
	h.mu.Unlock()
	r.end(err)
}
