package queue

import (
	"context"
	"errors"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// Recover puts a snapshot into a store that has lost everything, in the place of the
// one that the ops are for. other says that another instance was first: it has put the
// store back, or did so a moment ago, and this one goes on with that. Errors are
// those of [poolkeeper.Recoverer].
func (q *Queue) Recover(ctx context.Context, snap *poolkeeper.Snapshot) (other bool, err error) {
	known := q.log.Epoch() // before the look, which may find what another one has put there
	q.look()               // what is known may be old
	if mode := q.Mode(); mode != poolkeeper.ModeLost {
		if errors.Is(q.Err(), poolkeeper.ErrUnavailable) {
			return false, q.Err()
		}
		if q.givenBack() {
			return true, nil
		}
		return false, poolkeeper.Errorf(poolkeeper.ErrConflict, "nothing is lost: the mode is %s", mode).
			WithHint("there is nothing to put back; poolkeeper status says what the mode is")
	}
	fresh, err := q.open(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	snap.Meta[poolkeeper.MetaRecovered] = known
	err = q.restore(ctx, fresh, snap)
	if errors.Is(err, poolkeeper.ErrExists) {
		info, fail := fresh.Info(ctx)
		if fail != nil || !q.succeeds(fresh, known, info.Epoch) {
			return false, poolkeeper.Errorf(poolkeeper.ErrExists, "the store is initialised, with other content").
				WithHint("if it is the right one, go on with it: poolkeeper recover --adopt; if not, empty this prefix in Redis first")
		}
		other, err = true, nil
	}
	if errors.Is(err, poolkeeper.ErrForeign) {
		return false, poolkeeper.Errorf(poolkeeper.ErrForeign, "Redis still has part of what was lost, or keys of others under this prefix").
			WithHint("as after one node of a Cluster was emptied: remove all keys of this prefix, on all nodes, then run poolkeeper recover again")
	}
	if err == nil {
		q.look()
		err = q.Err()
	}
	if !other && err == nil {
		q.mu.Lock()
		q.gone = gone{}
		q.mu.Unlock()
	}
	return other, err
}

// patience is how long another restore is waited for: longer than one that died keeps
// others out.
const patience = time.Minute

// restore puts a snapshot into a store. Where another instance does that just now, what
// comes of it is waited for: ErrExists, or it has died, and this one is next.
func (q *Queue) restore(ctx context.Context, fresh Source, snap *poolkeeper.Snapshot) error {
	waiting, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for again := false; ; again = true {
		err := fresh.Restore(ctx, snap)
		if !errors.Is(err, poolkeeper.ErrForbidden) && !errors.Is(err, poolkeeper.ErrConflict) {
			return err
		}
		// One that has ended since was in the way too, but only once.
		if !q.outwait(waiting, fresh) && again || waiting.Err() != nil {
			return err
		}
	}
}

// outwait waits until nobody restores a store; false where nobody does.
func (q *Queue) outwait(ctx context.Context, src Source) (waited bool) {
	r, ok := src.(interface {
		Restoring(context.Context) (bool, error)
	})
	for ok {
		if on, err := r.Restoring(ctx); err != nil || !on {
			break
		}
		waited = true
		select {
		case <-time.After(q.opts.Probe):
		case <-ctx.Done():
			return waited
		case <-q.ctx.Done():
			return false
		}
	}
	return waited
}

// A gone store is one in whose place another one was found.
type gone struct {
	epoch string
	at    time.Time // when that was
}

// lately is for how long whoever wants a store put back is told that another instance
// has done so, where this one has gone on with that by itself already.
const lately = time.Minute

// givenBack reports whether another instance has put the store back a moment ago.
func (q *Queue) givenBack() bool {
	q.mu.Lock()
	was := q.gone
	q.mu.Unlock()
	src := q.src.Load()
	return was.epoch != "" && q.opts.Now().Sub(was.at) < lately && src != nil && q.recovered(src.Source, was.epoch)
}

// Adopt goes on with the store that is there now, whatever its content: it is the one
// that the queued ops are for. ErrUnavailable where there is none that is ready,
// ErrConflict where it is gone on with already.
func (q *Queue) Adopt(ctx context.Context) (err error) {
	q.look() // what is known may be old
	if mode := q.Mode(); sends(mode) {
		return poolkeeper.Errorf(poolkeeper.ErrConflict, "there is nothing to adopt: the mode is %s", mode).
			WithHint("the service goes on with the store that is there already; poolkeeper status says which one it is")
	}
	fresh, err := q.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	info, err := fresh.Info(ctx)
	if err != nil {
		return err
	}
	if !info.Ready {
		return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the store is not ready: %s", info.Problem).
			WithHint("where it is empty, put back what this instance has: poolkeeper recover")
	}
	q.mu.Lock()
	q.adopt = info.Epoch
	q.mu.Unlock()
	q.look()
	return q.Err()
}
