package queue

import (
	"context"
	"sync"

	"github.com/poolkeeper/poolkeeper"
)

// maxParallel bounds how many keys one Apply works on at once.
const maxParallel = 64

// Apply implements poolkeeper.Backend.
func (q *Queue) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
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

func (q *Queue) apply(ctx context.Context, op *poolkeeper.Op) poolkeeper.Result {
	if err := op.Validate(); err != nil {
		return poolkeeper.Result{Err: err}
	}
	if err := ctx.Err(); err != nil {
		return poolkeeper.Result{Err: err}
	}
	waits := q.log.Has(op.Key)
	if !waits && !q.down.Load() {
		res := q.src.Load().Apply(ctx, *op)[0]
		switch {
		case res.Status == poolkeeper.Queued:
			res.Status = q.status // the backlog has it by its request
			q.suspect()
			return res
		case poolkeeper.ClassOf(res.Err).Err != poolkeeper.ErrUnavailable:
			return res
		}
		q.suspect()
	}
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
