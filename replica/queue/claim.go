package queue

import (
	"errors"

	"github.com/poolkeeper/poolkeeper"
)

// Before what waits is brought to the store, the journal is claimed there: for as
// long as the store stays and something waits, and once more when nothing does. So
// of two copies of the journal only one is brought, the one that is first.

// claimed reports whether the journal was claimed since the store came back.
func (q *Queue) claimed() bool { return q.claimedIn.Load() == q.outages.Load()+1 }

// unclaim has the journal claimed before anything else is brought to the store.
func (q *Queue) unclaim() { q.outages.Add(1) }

// claim claims the journal where that was not done. Where a copy of it was, what
// waits is left to [backlog.Backlog.Doubtful].
func (q *Queue) claim() error {
	if q.claimed() {
		return nil
	}
	q.claiming.Lock()
	defer q.claiming.Unlock()
	if q.claimed() {
		return nil
	}
	return q.claimAnew()
}

// reclaim ends a replay: a copy that was made during it is of no use then.
func (q *Queue) reclaim() {
	if q.claimedIn.Load() == 0 || q.waiting.Load() > 0 {
		return
	}
	q.claiming.Lock()
	defer q.claiming.Unlock()
	if q.waiting.Load() == 0 && q.claimAnew() == nil {
		q.claimedIn.Store(0)
	}
}

func (q *Queue) claimAnew() error {
	in := q.outages.Load() + 1 // an outage that begins meanwhile needs another claim
	claimer, ok := q.src.Load().Source.(poolkeeper.Claimer)
	if !ok || !q.log.Durable() {
		q.claimedIn.Store(in)
		return nil
	}
	err := q.claimOnce(claimer)
	if errors.Is(err, poolkeeper.ErrConflict) {
		if err = q.disown(); err == nil {
			err = q.claimOnce(claimer)
		}
	}
	if err != nil {
		if q.ctx.Err() == nil && !q.unclaimable {
			q.opts.Logger.Warn("the journal cannot be claimed in the store: what is queued waits until it is", "error", err)
		}
		q.unclaimable = true
		return err
	}
	q.unclaimable = false
	q.claimedIn.Store(in)
	return nil
}

func (q *Queue) claimOnce(claimer poolkeeper.Claimer) error {
	c, err := q.log.Claim()
	if err == nil {
		err = claimer.Claim(q.ctx, c)
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
