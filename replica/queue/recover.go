package queue

import (
	"context"
	"errors"

	"github.com/poolkeeper/poolkeeper"
)

// Recover puts a snapshot into a store that has lost everything, in the place of the
// one that the ops are for. other says that another instance was first. Errors are
// those of [poolkeeper.Recoverer].
func (q *Queue) Recover(ctx context.Context, snap *poolkeeper.Snapshot) (other bool, err error) {
	q.look() // what is known may be old
	if mode := q.Mode(); mode != poolkeeper.ModeLost {
		if errors.Is(q.Err(), poolkeeper.ErrUnavailable) {
			return false, q.Err()
		}
		return false, poolkeeper.Errorf(poolkeeper.ErrConflict, "nothing is lost: the mode is %s", mode).
			WithHint("there is nothing to put back; poolkeeper status says what the mode is")
	}
	known := q.log.Epoch()
	fresh, err := q.open(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	snap.Meta[poolkeeper.MetaRecovered] = known
	err = fresh.Restore(ctx, snap)
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
	return other, err
}

// Adopt goes on with the store that is there now, whatever its content: it is the one
// that the queued ops are for. ErrUnavailable where there is none that is ready.
func (q *Queue) Adopt(ctx context.Context) (err error) {
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
