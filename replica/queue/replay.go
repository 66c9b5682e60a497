package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// mark has a key looked at. It may be called by hooks of the backlog.
func (q *Queue) mark(key poolkeeper.Key) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, there := q.dirty[key]; !there {
		q.order = append(q.order, key)
	}
	q.dirty[key] = false
	q.wake.Signal()
}

// next waits for a key to look at.
func (q *Queue) next() (poolkeeper.Key, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && (q.paused || len(q.order) == 0) {
		q.wake.Wait()
	}
	if q.closed {
		return poolkeeper.Key{}, false
	}
	key := q.order[0]
	q.order = q.order[1:]
	q.dirty[key] = true
	return key, true
}

// done ends the look at a key, and begins another one where it was marked
// meanwhile, or is to be looked at again.
func (q *Queue) done(key poolkeeper.Key, again bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if again || !q.dirty[key] {
		q.dirty[key] = false
		q.order = append(q.order, key)
		q.wake.Signal()
		return
	}
	delete(q.dirty, key)
}

// work replays one key after the other.
func (q *Queue) work() {
	for {
		key, ok := q.next()
		if !ok {
			return
		}
		more, wait := q.replay(key)
		if wait {
			q.doubt.Store(true)
			q.suspect()
			select {
			case <-time.After(q.opts.Probe):
			case <-q.ctx.Done():
			}
		}
		q.done(key, more)
	}
}

// replay brings the next ops of a key to the store. more: there are others that
// nobody else brings; wait: not now.
func (q *Queue) replay(key poolkeeper.Key) (more, wait bool) {
	ops := q.log.Take(key, q.opts.Chunk)
	if len(ops) == 0 {
		return false, false // none, or requests on their way: their end marks the key
	}
	defer q.log.GiveBack(ops)
	ctx, err := q.claim()
	if err != nil {
		return true, true
	}
	if n, err := q.log.Doubtful(ops); n > 0 {
		return true, err != nil
	}
	return true, !q.bring(ctx, ops)
}

// bring brings ops of a key to the store; false where that has to be tried again.
func (q *Queue) bring(ctx context.Context, ops []poolkeeper.QueuedOp) bool {
	results := q.src.Load().Replay(ctx, ops)
	q.follow(ctx, ops, results)
	stopped, err := q.conclude(ops, results)
	switch {
	case err != nil:
		return false
	case stopped < 0:
		return true
	case !poisons(results[stopped].Err):
		return false
	case len(ops) == 1:
		return q.log.Resolve([]uint64{ops[0].Entry}, results) == nil
	}
	// One of those that travelled together makes the script fail. It is found by
	// halves.
	left := slices.DeleteFunc(slices.Clone(ops), func(op poolkeeper.QueuedOp) bool { return !q.log.Waiting(op.Entry) })
	half := (len(left) + 1) / 2
	return (half == 0 || q.bring(ctx, left[:half])) && (half == len(left) || q.bring(ctx, left[half:]))
}

// follow brings results of a refresh, whose token is not there any more, to the
// provider that theirs was renamed to meanwhile: the token went along with it.
func (q *Queue) follow(ctx context.Context, ops []poolkeeper.QueuedOp, results []poolkeeper.Result) {
	for i := range ops {
		op, ref := ops[i].Op, poolkeeper.Ref{Type: ops[i].Op.Key.Type, ID: ops[i].Op.Key.Name}
		if op.From == "" || op.Key.Kind != poolkeeper.KindToken || !errors.Is(results[i].Err, poolkeeper.ErrNotFound) {
			continue
		}
		src := q.src.Load()
		snap, err := src.Source.Load(ctx, poolkeeper.ProviderKey(ref))
		if err != nil {
			results[i].Err = err
			return
		}
		p := snap.Provider(ref)
		if p == nil || p.ID == ref.ID {
			continue
		}
		op.Key = poolkeeper.TokenKey(p.Ref)
		if results[i] = src.Apply(ctx, op)[0]; errors.Is(results[i].Err, poolkeeper.ErrConflict) && q.stored(&op) {
			results[i] = poolkeeper.Result{Status: poolkeeper.Applied} // by a process that ended before it could say so
		}
		if results[i].Err != nil && !refuses(results[i].Err) {
			return // and those behind it not before it
		}
	}
}

// stored reports whether the stored token is the one that an op makes it.
func (q *Queue) stored(op *poolkeeper.Op) bool {
	snap, err := q.src.Load().Source.Load(q.ctx, op.Key)
	if err != nil {
		return false
	}
	now, ok := poolkeeper.RefreshTokenHash(snap.Values[op.Key].Data)
	made, is := poolkeeper.RefreshTokenHash(op.Data)
	return ok && is && now == made
}

// conclude tells the backlog what became of ops, as far as it was not told by
// their requests. stopped is the first one that was not applied now, or -1.
func (q *Queue) conclude(ops []poolkeeper.QueuedOp, results []poolkeeper.Result) (stopped int, err error) {
	stopped = -1
	var numbers []uint64
	var outcomes []poolkeeper.Result
	for i, op := range ops {
		res := results[i]
		switch {
		case !q.log.Waiting(op.Entry):
			continue
		case res.Err == nil:
		case op.Op.Kind == poolkeeper.OpDelete || op.Op.Kind == poolkeeper.OpDeleteProvider:
			if poolkeeper.ClassOf(res.Err).Err == poolkeeper.ErrNotFound { // as it was to be
				res = poolkeeper.Result{Status: poolkeeper.Applied}
				break
			}
			fallthrough
		default:
			if !refuses(res.Err) {
				if stopped < 0 {
					stopped = i
				}
				continue
			}
		}
		if stopped >= 0 {
			continue
		}
		numbers, outcomes = append(numbers, op.Entry), append(outcomes, res)
	}
	if len(numbers) == 0 {
		return stopped, nil
	}
	return stopped, q.log.Resolve(numbers, outcomes)
}

// refuses reports whether an error is the last word on an op.
func refuses(err error) bool {
	switch poolkeeper.ClassOf(err).Err {
	case poolkeeper.ErrInvalid, poolkeeper.ErrTooLarge, poolkeeper.ErrNotFound, poolkeeper.ErrExists, poolkeeper.ErrConflict, poolkeeper.ErrReused:
		return true
	}
	return false
}

// poisons reports whether an error is that of one of the ops that travelled
// together.
func poisons(err error) bool {
	switch poolkeeper.ClassOf(err).Err {
	case poolkeeper.ErrDamaged, poolkeeper.ErrInternal:
		return true
	}
	return false
}
