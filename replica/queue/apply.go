package queue

import (
	"context"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// maxParallel bounds how many keys one Apply works on at once.
const maxParallel = 64

// Apply implements poolkeeper.Backend.
func (q *Queue) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	if !q.busy(ops) { // as ever while the store is there
		results := q.src.Load().Apply(ctx, ops...)
		q.catch(ctx, ops, results)
		return results
	}
	if len(ops) == 1 {
		return []poolkeeper.Result{q.apply(ctx, &ops[0])}
	}
	results := make([]poolkeeper.Result, len(ops))
	perKey := map[poolkeeper.Key][]int{}
	var keys []poolkeeper.Key
	for i := range ops {
		k := ops[i].Key
		if perKey[k] == nil {
			keys = append(keys, k)
		}
		perKey[k] = append(perKey[k], i)
	}
	var wg sync.WaitGroup
	tokens := make(chan struct{}, maxParallel)
	for _, k := range keys {
		tokens <- struct{}{}
		wg.Go(func() {
			defer func() { <-tokens }()
			for _, i := range perKey[k] {
				results[i] = q.apply(ctx, &ops[i])
			}
		})
	}
	wg.Wait()
	return results
}

// away reports whether an error says that the store surely has not applied an op, as
// it is away, or is not the one that it was.
func away(err error) bool {
	class := poolkeeper.ClassOf(err).Err
	return class == poolkeeper.ErrUnavailable || class == poolkeeper.ErrLost
}

// busy reports whether any of some ops is not simply the store's.
func (q *Queue) busy(ops []poolkeeper.Op) bool {
	if q.down.Load() {
		return true
	}
	for i := range ops {
		if q.log.Has(ops[i].Key) {
			return true
		}
	}
	return false
}

// catch queues what the store has surely not applied, as it is away. Where it has
// applied a later op of the same key, the earlier one cannot come behind that.
func (q *Queue) catch(ctx context.Context, ops []poolkeeper.Op, results []poolkeeper.Result) {
	missed := 0
	for i := range results {
		switch res := &results[i]; {
		case res.Err == nil && res.Status == poolkeeper.Queued:
			res.Status = q.status // the backlog has it by its request
			q.suspect()
		case res.Err != nil && away(res.Err):
			missed++
		}
	}
	if missed == 0 {
		return
	}
	q.doubt.Store(true)
	q.suspect()
	done := map[poolkeeper.Key]int{} // the last op of the key that was applied
	for i := range results {
		if results[i].Err == nil {
			done[ops[i].Key] = i
		}
	}
	for i := range results {
		res := &results[i]
		if res.Err == nil || !away(res.Err) {
			continue
		}
		if last, ok := done[ops[i].Key]; !ok || last < i {
			*res = q.queue(ctx, &ops[i], false)
		}
	}
}

// linger is how long an op waits for those of its key that are being replayed, at
// first and at most. Else callers that come back at once could add to them for ever:
// being queued may be quicker than being applied. On a machine where a replay takes
// longer than the first linger, each in vain makes the next one twice as long.
const (
	linger     = 50 * time.Millisecond
	mostLinger = 32 * linger
)

// A draining is a key whose ops some wait for to end.
type draining struct {
	ended  chan struct{}
	linger time.Duration
}

// drained waits for a key to have no op that waits; false where that takes long.
func (q *Queue) drained(ctx context.Context, key poolkeeper.Key) bool {
	q.mu.Lock()
	d := q.empty[key]
	if d == nil {
		d = &draining{make(chan struct{}), linger}
		q.empty[key] = d
	}
	lasts := d.linger
	q.mu.Unlock()
	n := q.log.Len(key)
	if n == 0 { // it ended before anybody could say so to this one
		q.emptied(key)
	}
	timer := time.NewTimer(lasts)
	defer timer.Stop()
	select {
	case <-d.ended:
		return true
	case <-timer.C:
	case <-ctx.Done():
		return false
	case <-q.ctx.Done():
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if n <= q.opts.Chunk && lasts == d.linger { // more than that are not worth to wait for
		d.linger = min(2*d.linger, mostLinger)
	}
	return false
}

func (q *Queue) emptied(key poolkeeper.Key) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d := q.empty[key]; d != nil {
		close(d.ended)
		delete(q.empty, key)
	}
}

func (q *Queue) apply(ctx context.Context, op *poolkeeper.Op) poolkeeper.Result {
	if err := op.Validate(); err != nil {
		return poolkeeper.Result{Err: err}
	}
	if err := ctx.Err(); err != nil {
		return poolkeeper.Result{Err: err}
	}
	waits := q.log.Has(op.Key)
	if waits && !q.down.Load() {
		waits = !q.drained(ctx, op.Key)
	}
	if !waits && !q.down.Load() {
		res := q.src.Load().Apply(ctx, *op)[0]
		switch {
		case res.Status == poolkeeper.Queued:
			res.Status = q.status // the backlog has it by its request
			q.suspect()
			return res
		case !away(res.Err):
			return res
		}
		q.doubt.Store(true)
		q.suspect()
	}
	return q.queue(ctx, op, waits)
}

// queue puts an op into the backlog, where it can wait. waits says that it has to
// because of earlier ones of its key.
func (q *Queue) queue(ctx context.Context, op *poolkeeper.Op, waits bool) poolkeeper.Result {
	if err := op.Queueable(); err != nil {
		if waits {
			err = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "earlier ops on %s wait for the store, and this one cannot", op.Key).
				WithHint("try it again when the store is back")
		}
		return poolkeeper.Result{Err: poolkeeper.Annotate(err, string(op.Kind), op.Subject())}
	}
	if _, err := q.log.Append(ctx, *op); err != nil {
		return poolkeeper.Result{Err: poolkeeper.Annotate(err, string(op.Kind), op.Subject())}
	}
	return poolkeeper.Result{Status: q.status, ID: op.ID, Changed: true}
}
