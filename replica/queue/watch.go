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
		up = q.lookOnce()
	}
}

// look asks the store whether it is there, and goes on accordingly; where it is not,
// the watch goes on asking.
func (q *Queue) look() {
	if !q.lookOnce() {
		q.suspect()
	}
}

// lookOnce is a look of the watch.
func (q *Queue) lookOnce() bool {
	q.looking.Lock()
	defer q.looking.Unlock()
	known := q.log.Epoch()
	next := q.examine()
	if q.ctx.Err() != nil {
		return false
	}
	stands := q.stands(next.mode)
	q.mu.Lock()
	if next.err == nil && known != "" && next.info.Epoch != known {
		q.gone = gone{known, q.opts.Now()}
	}
	up := q.turn(next, stands)
	q.paused = !up
	if up {
		q.wake.Broadcast()
	}
	close(q.ended)
	q.ended = make(chan struct{})
	q.mu.Unlock()
	return up
}

// examine finds out how the store is.
func (q *Queue) examine() state {
	if q.src.Load() == nil {
		if err := q.connect(q.ctx); err != nil {
			return q.judge(q.opts.Describe, err)
		}
	}
	src := q.src.Load()
	info, err := src.Info(q.ctx)
	if err == nil && !info.Ready { // what keeps it from that is what a read meets
		if err = q.read(src.Source); err == nil {
			if info, err = src.Info(q.ctx); err == nil && !info.Ready {
				err = poolkeeper.Errorf(poolkeeper.ErrForbidden, "%s", info.Problem)
			}
		}
	}
	if err == nil && q.doubt.Swap(false) {
		err = q.writes(src.Source)
	}
	if errors.Is(err, poolkeeper.ErrLost) {
		info, err = q.reopen(info)
	}
	if err == nil {
		err = q.accept(info)
	}
	if err == nil {
		q.reclaim()
	}
	return q.judge(info, err)
}

// briefly is how long a store that has just said that it is not ready is asked why.
const briefly = 300 * time.Millisecond

func (q *Queue) read(src Source) error {
	ctx, cancel := context.WithTimeout(q.ctx, briefly)
	defer cancel()
	_, err := src.Load(ctx, poolkeeper.TypesKey)
	if errors.Is(err, context.DeadlineExceeded) {
		return unanswered(src, briefly)
	}
	return err
}

// unanswered is that a store, which it names, has not answered in time.
func unanswered(src Source, within time.Duration) error {
	name := "the store"
	if w, ok := src.(interface{ Where() string }); ok {
		name = w.Where()
	}
	return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%s did not answer within %v", name, within)
}

// writes finds out whether a store that is read refuses writes. It is asked where one
// was refused, and until that is over.
func (q *Queue) writes(src Source) error {
	w, ok := src.(interface{ Writable(context.Context) error })
	if !ok {
		return nil
	}
	err := w.Writable(q.ctx)
	if errors.Is(err, poolkeeper.ErrUnavailable) {
		q.doubt.Store(true)
		return err
	}
	return nil
}

// accept takes a store that is ready for the one that the ops are for, if it is
// that one, or the one that was put in its place.
func (q *Queue) accept(info poolkeeper.Info) error {
	known := q.log.Epoch()
	if known != "" && known != info.Epoch && q.log.State().Ops > 0 && !q.succeeds(q.src.Load().Source, known, info.Epoch) {
		return poolkeeper.Errorf(poolkeeper.ErrLost, "the store is another one than the one that the queued ops are for").
			WithHint("if it is the right one, let them be brought to it: poolkeeper recover --adopt; what is queued: poolkeeper journal list")
	}
	q.src.Load().accepted.Store(true)
	if err := q.resume(); err != nil {
		return err
	}
	if err := q.log.SetEpoch(info.Epoch); err != nil {
		q.opts.Logger.Warn("the epoch of the store cannot be noted", "error", err)
	}
	return nil
}

// succeeds reports whether a store was put in the place of the one with a known
// epoch.
func (q *Queue) succeeds(src Source, known, epoch string) bool {
	q.mu.Lock()
	adopted := q.adopt == epoch
	q.mu.Unlock()
	return adopted || q.recovered(src, known)
}

// recovered reports whether a store was put back for the one with a known epoch.
func (q *Queue) recovered(src Source, known string) bool {
	snap, err := src.Load(q.ctx, poolkeeper.MetaKey)
	return err == nil && snap.Meta[poolkeeper.MetaRecovered] == known
}

// reopen looks at what is there in place of the store that was opened, and goes on
// with it where it was put there for that.
func (q *Queue) reopen(info poolkeeper.Info) (poolkeeper.Info, error) {
	fresh, err := q.open(q.ctx)
	if err != nil {
		return info, err
	}
	found, err := fresh.Info(q.ctx)
	switch {
	case err != nil:
	case !found.Ready:
		err = poolkeeper.Errorf(poolkeeper.ErrLost, "the store has lost everything: %s", found.Problem).
			WithHint("put back what this instance has: poolkeeper recover")
	case !q.succeeds(fresh, q.log.Epoch(), found.Epoch):
		err = poolkeeper.Errorf(poolkeeper.ErrLost, "the store is another one than the one that was written to").
			WithHint("if it is the right one, go on with it: poolkeeper recover --adopt")
	}
	if err != nil { // the one before goes on refusing
		return found, errors.Join(err, fresh.Close())
	}
	if q.recovered(fresh, q.log.Epoch()) { // of any other content nobody can say what it lacks
		if err := q.rescue(q.src.Load().Source, fresh); err != nil {
			return found, errors.Join(err, fresh.Close())
		}
	}
	for _, key := range q.log.Keys() {
		fresh.Hold(key, true)
	}
	q.resumed = false
	clear(q.rescued)
	q.endStay()
	was := q.src.Swap(&opened{Source: fresh})
	q.active.Go(func() {
		if err := was.Close(); err != nil {
			q.opts.Logger.Warn("the store that was lost was not closed well", "error", err)
		}
	})
	return found, nil
}

// rescue queues again what was acknowledged by the store that was lost, and is not in
// the one that was put in its place. What cannot be queued is reported as lost.
func (q *Queue) rescue(was, fresh Source) error {
	m, ok := was.(poolkeeper.Mender)
	if !ok {
		return nil
	}
	missing, err := m.Missing(q.ctx, fresh)
	if err != nil {
		return err
	}
	for key, ops := range missing {
		if q.rescued[key] { // by a look that did not come to its end
			continue
		}
		again := make([]poolkeeper.QueuedOp, 0, len(ops))
		for _, op := range ops {
			switch op.Kind {
			case poolkeeper.OpReplacePool, poolkeeper.OpReorderPool, poolkeeper.OpDeletePool, poolkeeper.OpReorderTypes:
				now := q.opts.Now().UnixMilli()
				if err := q.log.Lose(poolkeeper.Loss{Key: key, Reason: poolkeeper.ClassOf(poolkeeper.ErrLost).Code, Ops: 1, First: now, Last: now}); err != nil {
					return err
				}
			default:
				again = append(again, poolkeeper.QueuedOp{Op: op})
			}
		}
		if err := q.log.Rescue(key, again); err != nil {
			return err
		}
		q.rescued[key] = true
	}
	return nil
}

// connect opens the source.
func (q *Queue) connect(ctx context.Context) error {
	src, err := q.open(ctx)
	if err != nil {
		return err
	}
	q.src.Store(&opened{Source: src}) // from now on hooks hold keys; Apply waits until it was looked at
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
