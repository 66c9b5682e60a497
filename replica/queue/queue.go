package queue

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
)

// A Source is the store, whose Spool is the backlog.
type Source interface {
	poolkeeper.Backend
	poolkeeper.Replayer
}

// Options of a Queue. A nil *Options means all defaults.
type Options struct {
	// Probe is how often a store that is away is asked whether it is back, 200 ms
	// where 0.
	Probe time.Duration
	// FallbackAfter is how long an outage lasts until it counts as persistent, 60 s
	// where 0.
	FallbackAfter time.Duration
	// Standby reports whether there is something to serve until the store is reached,
	// and while it is empty: then what can wait is queued for whoever initialises it.
	// It may be nil, and may take its time: only who looks at the store waits for it.
	Standby func() bool
	// Patience is how long New waits for the store, until it has answered where 0.
	Patience time.Duration
	// Workers is how many keys are replayed at once, 64 where 0.
	Workers int
	// Chunk is how many ops of a key are replayed at once, 10,000 where 0.
	Chunk int
	// Describe is what Info says of a store that was never reached.
	Describe poolkeeper.Info
	// Turned is called for each transition, one after the other. It must not call
	// the Queue.
	Turned func(from, to poolkeeper.Mode)
	Logger *slog.Logger
	// Now is the clock of what Info says; time.Now where nil.
	Now func() time.Time
}

// A Queue is a [poolkeeper.Backend] that goes on while its source is away.
//
// An op whose key has ops that wait is queued behind them, and so is one that the
// source says it has surely not applied as it is away, both where it can wait
// ([poolkeeper.Op.Queueable]); others are ErrUnavailable. What is queued is
// replayed key by key, requests that were sent before first. Before that the journal
// is claimed, where the source is a [poolkeeper.Claimer]: what waits in one that was
// brought there from another directory is set aside. An op that is
// refused is set aside in the backlog, and does not keep others back.
type Queue struct {
	open   func(context.Context) (Source, error)
	src    atomic.Pointer[opened] // nil until the store was reached
	log    *backlog.Backlog
	opts   Options
	status poolkeeper.Status // of what is queued

	looking sync.Mutex              // held by whoever looks at the store
	resumed bool                    // the requests of the last process are on their way; of whoever looks
	rescued map[poolkeeper.Key]bool // what the next store is to have and was queued; of whoever looks
	down    atomic.Bool             // ops are not sent: the mode is one that queues
	doubt   atomic.Bool             // a write was refused, and it is to be found out whether others are
	waiting atomic.Int64            // keys that have ops

	claiming    sync.Mutex
	unclaimable bool // the last claim has failed; guarded by claiming
	stay        atomic.Pointer[stay]
	brought     atomic.Bool // something, by the last claim

	counts counts
	ctx    context.Context
	cancel context.CancelFunc
	probe  chan struct{} // asks for one
	active sync.WaitGroup

	mu     sync.Mutex
	wake   *sync.Cond
	dirty  map[poolkeeper.Key]bool      // keys to be looked at; true: somebody does
	order  []poolkeeper.Key             // those nobody looks at yet
	empty  map[poolkeeper.Key]*draining // keys whose ops some wait for to end
	paused bool                         // nothing is replayed
	seen   bool                         // the store was used, and so there may be a copy of it
	closed bool
	state  state
	ended  chan struct{} // closed when the next look has ended
	adopt  string        // the epoch that somebody has said is the right one
	gone   gone          // the store that was lost, once another one was put in its place
}

var _ poolkeeper.Backend = (*Queue)(nil)

type opened struct {
	Source
	accepted atomic.Bool // it is the store that the ops are for
}

// readable is the source where it may be read: what another store has is not taken for
// what was lost.
func (q *Queue) readable() (Source, error) {
	src := q.src.Load()
	switch {
	case src == nil:
		return nil, errAway
	case src.accepted.Load():
		return src.Source, nil
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	return nil, errAway
}

// New begins to bring what the backlog has to the source, which open opens: again
// and again where it says ErrUnavailable, while what can wait is queued. Both are
// the Queue's from then on. Any other error of open is that of New, and so is
// ErrInvalid where the backlog is that of another store.
func New(ctx context.Context, open func(context.Context) (Source, error), log *backlog.Backlog, opts *Options) (*Queue, error) {
	q := &Queue{open: open, log: log, status: poolkeeper.Queued, dirty: map[poolkeeper.Key]bool{}, rescued: map[poolkeeper.Key]bool{}, empty: map[poolkeeper.Key]*draining{}, probe: make(chan struct{}, 1), ended: make(chan struct{})}
	if opts != nil {
		q.opts = *opts
	}
	if q.opts.Probe <= 0 {
		q.opts.Probe = 200 * time.Millisecond
	}
	if q.opts.Workers <= 0 {
		q.opts.Workers = 64
	}
	if q.opts.Chunk <= 0 {
		q.opts.Chunk = 10_000
	}
	if q.opts.FallbackAfter <= 0 {
		q.opts.FallbackAfter = time.Minute
	}
	if q.opts.Logger == nil {
		q.opts.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if q.opts.Now == nil {
		q.opts.Now = time.Now
	}
	if !log.Durable() {
		q.status = poolkeeper.Buffered
	}
	q.wake = sync.NewCond(&q.mu)
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.stay.Store(q.newStay())
	q.paused = true // until the store was seen
	q.down.Store(true)
	q.counts.turned = map[poolkeeper.Mode]uint64{}
	log.Watch(backlog.Hooks{Thawed: q.mark, Waits: q.waits})
	q.Observe(nil, nil)
	for _, key := range log.Keys() {
		q.waiting.Add(1)
		q.mark(key)
	}
	if err := q.first(ctx); err != nil {
		q.cancel()
		q.active.Wait()
		if src := q.src.Load(); src != nil {
			err = errors.Join(err, src.Close())
		}
		return nil, err
	}
	q.active.Go(q.watch)
	for range q.opts.Workers {
		q.active.Go(q.work)
	}
	return q, nil
}

// first looks at the store for the first time, and returns the error of New.
func (q *Queue) first(ctx context.Context) error {
	looked := make(chan struct{})
	q.active.Go(func() {
		defer close(looked)
		q.look()
	})
	var late <-chan time.Time
	if q.opts.Patience > 0 {
		late = time.After(q.opts.Patience)
	}
	select {
	case <-looked:
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
		stands := q.stands(poolkeeper.ModeDegraded)
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.state.mode == "" {
			q.turn(state{mode: poolkeeper.ModeDegraded, info: q.opts.Describe, err: errAway}, stands)
		}
		return nil
	}
	err := q.Err()
	if q.src.Load() == nil && !errors.Is(err, poolkeeper.ErrUnavailable) || errors.Is(err, poolkeeper.ErrInvalid) {
		return err
	}
	return nil
}

// waits is told by the backlog where a key has its first op that waits, and where
// it has none any more.
func (q *Queue) waits(key poolkeeper.Key, on bool) {
	if src := q.src.Load(); src != nil {
		src.Hold(key, on)
	}
	if on {
		q.waiting.Add(1)
		q.mark(key)
		return
	}
	q.emptied(key)
	if q.waiting.Add(-1) == 0 {
		q.suspect() // the replay has ended
	}
}

// Observe tells of each op that waits now, in the order of each key, and from then
// on of each that is queued, and of each that waits no more. sent says that the
// store may have executed it; where that comes later it is told again then. The functions must not call the Queue; each may be
// nil, and takes the place of the one before.
func (q *Queue) Observe(queued func(op poolkeeper.QueuedOp, sent bool), settled func(poolkeeper.QueuedOp, poolkeeper.Result)) {
	first := true
	q.log.Observe(backlog.Observer{
		Queued: func(op poolkeeper.QueuedOp, sent bool) {
			if !first {
				q.counts.queued.Add(1)
			}
			if queued != nil {
				queued(op, sent)
			}
		},
		Sent: func(op poolkeeper.QueuedOp) {
			if queued != nil {
				queued(op, true)
			}
		},
		Settled: func(op poolkeeper.QueuedOp, res poolkeeper.Result) {
			q.counts.settled.Add(1)
			if settled != nil {
				settled(op, res)
			}
		},
	})
	first = false
}

// Backlog is what waits.
func (q *Queue) Backlog() *backlog.Backlog { return q.log }

// Err is why nothing is replayed although the store answers; nil where it is.
func (q *Queue) Err() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state.err
}

// Load implements poolkeeper.Backend: it is the source's.
func (q *Queue) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	if src := q.src.Load(); src != nil && slices.Equal(keys, []poolkeeper.Key{poolkeeper.MetaKey}) { // what it is
		return src.Load(ctx, keys...)
	}
	src, err := q.readable()
	if err != nil {
		return nil, err
	}
	snap, err := src.Load(ctx, keys...)
	return snap, q.why(err)
}

// why is what was found in the place of a store that is lost, with the way out, where
// the store itself says no more than that it is.
func (q *Queue) why(err error) error {
	if errors.Is(err, poolkeeper.ErrLost) {
		if found := q.Err(); errors.Is(found, poolkeeper.ErrLost) {
			return found
		}
	}
	return err
}

// Restore implements poolkeeper.Backend.
func (q *Queue) Restore(ctx context.Context, snap *poolkeeper.Snapshot) error {
	src := q.src.Load()
	if src == nil {
		return errAway
	}
	err := src.Restore(ctx, snap)
	q.look()
	return q.why(err)
}

var errAway = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the store was not reached yet")

// Close implements poolkeeper.Backend. What waits goes on when the backlog is
// opened again.
func (q *Queue) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	q.wake.Broadcast()
	q.mu.Unlock()
	q.cancel()
	q.active.Wait()
	var err error
	if src := q.src.Load(); src != nil {
		err = src.Close()
	}
	return errors.Join(err, q.log.Close())
}
