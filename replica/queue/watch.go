package queue

import (
	"context"
	"errors"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// suspect has the store asked at once whether it is there.
func (q *Queue) suspect() {
	select {
	case q.probe <- struct{}{}:
	default:
	}
}

// watch asks the store whether it is there, while it is away and where somebody
// suspects it.
func (q *Queue) watch() {
	q.mu.Lock()
	up := !q.paused
	q.mu.Unlock()
	for {
		var again <-chan time.Time
		if !up {
			again = time.After(q.opts.Probe)
		}
		select {
		case <-q.ctx.Done():
			return
		case <-q.probe:
		case <-again:
		}
		up = q.look()
	}
}

// look asks the store once whether it is there.
func (q *Queue) look() bool {
	if q.src.Load() == nil {
		if err := q.connect(q.ctx); err != nil {
			if !errors.Is(err, poolkeeper.ErrUnavailable) && q.ctx.Err() == nil {
				q.mu.Lock()
				q.lost = err
				q.mu.Unlock()
			}
			return false
		}
	}
	info, err := q.src.Load().Info(q.ctx)
	if err != nil {
		return false
	}
	var lost error
	switch known := q.log.Epoch(); {
	case !info.Ready:
	case known != "" && known != info.Epoch && q.log.State().Ops > 0:
		lost = poolkeeper.Errorf(poolkeeper.ErrLost, "the store is another one than the one that the queued ops are for").
			WithHint("check it before anything is written; list what is queued: poolkeeper journal list")
	default:
		if lost = q.resume(); lost != nil {
			break
		}
		if err := q.log.SetEpoch(info.Epoch); err != nil {
			q.opts.Logger.Warn("the epoch of the store cannot be noted", "error", err)
		}
	}
	up := info.Ready && lost == nil
	// A store that is empty, foreign or closed to us says so itself, to each caller;
	// one that was ours is gone for a while.
	down := !up && (q.log.Epoch() != "" || q.log.State().Ops > 0)
	if was := q.down.Swap(down); was != down {
		if down {
			q.opts.Logger.Warn("the store is away: writes are queued", "problem", info.Problem, "error", lost)
		} else {
			q.opts.Logger.Info("the store is back: what is queued is replayed", "ops", q.log.State().Ops)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.paused, q.lost = !up, lost
	if up {
		q.wake.Broadcast()
	}
	return up
}

// connect opens the source.
func (q *Queue) connect(ctx context.Context) error {
	src, err := q.open(ctx)
	if err != nil {
		return err
	}
	q.src.Store(&opened{src}) // from now on hooks hold keys; Apply waits until it was looked at
	return nil
}

// resume has the store, which is there and the right one, go on with the requests
// of the last process before anything else.
func (q *Queue) resume() error {
	if q.resumed {
		return nil
	}
	src := q.src.Load()
	for _, key := range q.log.Keys() {
		src.Hold(key, true)
	}
	for _, f := range q.log.Frozen() {
		err := src.Resume(f)
		if errors.Is(err, poolkeeper.ErrDamaged) { // for a person to decide; the rest goes on
			err = q.log.Settle(f, refuseAll(len(f.Ops), err))
		}
		if err != nil {
			return err
		}
	}
	q.resumed = true
	return nil
}

func refuseAll(n int, err error) []poolkeeper.Result {
	results := make([]poolkeeper.Result, n)
	for i := range results {
		results[i].Err = err
	}
	return results
}
