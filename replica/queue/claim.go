package queue

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/poolkeeper/poolkeeper"
)

// Before what waits is brought to the store, the journal is claimed there: for as
// long as the store stays and something waits, and once more when nothing does. So
// of two copies of the journal only one is brought, the one that is first.

// A stay is a time in which the store is there. What is brought in it ends with it:
// a copy may be made in an outage, and used.
type stay struct {
	ctx     context.Context
	end     context.CancelFunc
	claimed atomic.Bool
}

func (q *Queue) newStay() *stay {
	s := &stay{}
	s.ctx, s.end = context.WithCancel(q.ctx)
	return s
}

// endStay has the journal claimed before anything else is brought to the store.
func (q *Queue) endStay() { q.stay.Swap(q.newStay()).end() }

// claim claims the journal where that was not done in this stay, and returns for how
// long that holds. Where a copy of it was claimed, what waits is left to
// [backlog.Backlog.Doubtful].
func (q *Queue) claim() (context.Context, error) {
	if s := q.stay.Load(); s.claimed.Load() {
		return s.ctx, nil
	}
	q.claiming.Lock()
	defer q.claiming.Unlock()
	s := q.stay.Load()
	if s.claimed.Load() {
		return s.ctx, nil
	}
	return s.ctx, q.claimAnew(s)
}

// reclaim ends a replay: a copy that was made during it is of no use then.
func (q *Queue) reclaim() {
	if !q.brought.Load() || q.waiting.Load() > 0 {
		return
	}
	q.claiming.Lock()
	defer q.claiming.Unlock()
	if s := q.stay.Load(); q.waiting.Load() == 0 && q.claimAnew(s) == nil {
		s.claimed.Store(false)
		q.brought.Store(false)
	}
}

func (q *Queue) claimAnew(s *stay) error {
	err := q.claimOnce(s.ctx)
	if errors.Is(err, poolkeeper.ErrConflict) {
		if err = q.disown(); err == nil {
			err = q.claimOnce(s.ctx)
		}
	}
	if err != nil {
		if s.ctx.Err() == nil && !q.unclaimable {
			q.opts.Logger.Warn("the journal cannot be claimed in the store: what is queued waits until it is", "error", err)
		}
		q.unclaimable = true
		return err
	}
	q.unclaimable = false
	q.brought.Store(true)
	s.claimed.Store(true)
	return nil
}

func (q *Queue) claimOnce(ctx context.Context) error {
	claimer, ok := q.src.Load().Source.(poolkeeper.Claimer)
	if !ok || !q.log.Durable() {
		return nil
	}
	c, err := q.log.Claim()
	if err == nil {
		err = claimer.Claim(ctx, c)
	}
	if err == nil {
		q.log.Claimed(c)
	}
	return err
}

// disown goes on without what is in a journal that was brought to the store from
// another directory.
func (q *Queue) disown() error {
	n, err := q.log.Disown()
	if err != nil {
		return err
	}
	args := []any{"journal", q.log.Dir(), "ops", n}
	if n == 0 {
		q.opts.Logger.Error("a copy of the state directory was brought to the store while this one was: what both had may have counted twice", args...)
		return nil
	}
	q.opts.Logger.Error("a copy of the state directory was brought to the store before this one: what waits here is set aside, as it may have been applied; "+
		"poolkeeper journal list has it, then poolkeeper journal retry or discard", args...)
	return nil
}
