package redisstore

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// maxTries bounds how often an op that builds on what it read is tried anew
// because that changed meanwhile.
const maxTries = 100

// maxParallel bounds how many keys one Apply works on at once.
const maxParallel = 64

// Apply implements poolkeeper.Backend.
func (s *Store) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	results := make([]poolkeeper.Result, len(ops))
	if err := s.enter(); err != nil {
		return failAll(results, err)
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return failAll(results, err)
	}
	if len(ops) == 1 {
		results[0] = s.applyOne(ctx, &ops[0], 0)
		return results
	}
	// Each key in its order, the keys side by side.
	perKey := map[string][]int{}
	var keys []string
	for i := range ops {
		k := s.laneKey(ops[i].Key)
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
				if err := ctx.Err(); err != nil {
					results[i].Err = err
					continue
				}
				results[i] = s.applyOne(ctx, &ops[i], 0)
			}
		})
	}
	wg.Wait()
	return results
}

func failAll(results []poolkeeper.Result, err error) []poolkeeper.Result {
	for i := range results {
		results[i].Err = err
	}
	return results
}

// laneKey is the Redis key by which the ops of a key are ordered.
func (s *Store) laneKey(key poolkeeper.Key) string {
	switch key.Kind {
	case poolkeeper.KindPool:
		return s.pool(key.Type)
	case poolkeeper.KindTypes:
		return s.typeOrder()
	}
	name, _ := s.value(key)
	return name
}

// applyOne applies an op, which the Spool has under a number or, where that is 0,
// does not have.
func (s *Store) applyOne(ctx context.Context, op *poolkeeper.Op, entry uint64) poolkeeper.Result {
	if err := op.Validate(); err != nil {
		return poolkeeper.Result{Err: err}
	}
	if err := s.writable(ctx); err != nil {
		return poolkeeper.Result{Err: err}
	}
	if op.IsRuntime() {
		return s.poolLane(op.Key.Type).submit(ctx, runtimeCall(op, entry)).result
	}
	switch op.Kind {
	case poolkeeper.OpAddProvider, poolkeeper.OpPutProvider, poolkeeper.OpPatchProvider, poolkeeper.OpDeleteProvider, poolkeeper.OpRenameProvider:
		return s.retry(ctx, op, func(ctx context.Context, op *poolkeeper.Op) (poolkeeper.Result, bool) {
			return s.changeProvider(ctx, op, entry)
		})
	case poolkeeper.OpReplacePool, poolkeeper.OpReorderPool, poolkeeper.OpDeletePool:
		c := &poolChange{Store: s, key: s.pool(op.Key.Type)}
		defer c.done()
		return s.retry(ctx, op, c.try)
	case poolkeeper.OpReorderTypes:
		return s.retry(ctx, op, s.reorderTypes)
	}
	return s.retry(ctx, op, func(ctx context.Context, op *poolkeeper.Op) (poolkeeper.Result, bool) {
		return s.changeValue(ctx, op, entry)
	})
}

// runtimeCall is the call of an op on runtime state.
func runtimeCall(op *poolkeeper.Op, entry uint64) *call {
	kind, size := kindOf(op)
	c := newCall(kind, op, entry)
	c.id, c.size = op.ID, size
	return c
}

// kindOf is the kind of the batches that an op on runtime state can be in, and how
// many bytes it adds to one at most.
func kindOf(op *poolkeeper.Op) (batchKind, int) {
	switch {
	case op.Kind != poolkeeper.OpUsage && op.Message != nil:
		return decideBatch, len(op.ID)*16 + 1024 + len(*op.Message)
	case op.Kind != poolkeeper.OpUsage:
		return decideBatch, len(op.ID)*16 + 1024
	case op.IdempotencyKey != "":
		return keyedBatch, 4*len(op.ID) + 512
	}
	return usageBatch, 4*len(op.ID) + 128
}

// submitRequest submits a prepared request. op is nil where it is not that of an
// op, but something on the way to one.
func (l *lane) submitRequest(ctx context.Context, kind batchKind, op *poolkeeper.Op, entry uint64, row *request, size int) answer {
	c := newCall(kind, op, entry)
	c.row, c.size = row, size
	if m, ok := ctx.Value(mender{}).(*mendedBy); ok && m.lane == l {
		return m.call(c)
	}
	if l.s.opts.Spool != nil {
		c.bare = op == nil || op.Queueable() != nil
	}
	return l.submit(ctx, c)
}

// retry tries an op that builds on what it read until nothing came between.
func (s *Store) retry(ctx context.Context, op *poolkeeper.Op, try func(context.Context, *poolkeeper.Op) (poolkeeper.Result, bool)) poolkeeper.Result {
	began := time.Now()
	for n := 0; n < maxTries; {
		if err := ctx.Err(); err != nil {
			return poolkeeper.Result{Err: err}
		}
		res, ok := try(ctx, op)
		held := !ok && res.Err == errHeld
		switch {
		case held && time.Since(began) < s.patience(): // waiting is no try
		case held:
			return s.certain(ctx, res)
		case !ok:
			n++
		case !isOutage(res.Err) || time.Since(began) >= s.patience():
			return s.certain(ctx, res)
		}
		// What was read first may have met a connection that had ended: as
		// nothing was applied, it is tried as long as a lane would.
		most := min(n+2, 20)
		if held {
			most = 20
		}
		if ok || held || n > 3 { // let those go first that keep coming between
			select {
			case <-time.After(rand.N(time.Duration(most) * time.Millisecond)):
			case <-ctx.Done():
			}
		}
	}
	return s.certain(ctx, poolkeeper.Result{Err: poolkeeper.Errorf(poolkeeper.ErrConflict, "%s changed too often meanwhile", op.Subject())})
}

// certain makes sure of a result that was decided by what was read alone: no
// script has compared the epoch for it.
func (s *Store) certain(ctx context.Context, res poolkeeper.Result) poolkeeper.Result {
	switch poolkeeper.ClassOf(res.Err).Err {
	case poolkeeper.ErrNotFound, poolkeeper.ErrExists, poolkeeper.ErrConflict, poolkeeper.ErrInvalid, poolkeeper.ErrDamaged:
	default:
		if res.Err != nil || res.Changed {
			return res
		}
	}
	epoch, err := s.ready(ctx)
	if err == nil {
		err = s.still(ctx, epoch)
	}
	if err != nil {
		return poolkeeper.Result{Err: err}
	}
	return res
}

func refuse(err error) (poolkeeper.Result, bool) { return poolkeeper.Result{Err: err}, true }

// met reports whether the condition of an op holds.
func met(cond poolkeeper.If, present bool, tag func() string) bool {
	switch cond {
	case poolkeeper.Always:
		return true
	case poolkeeper.IfAbsent:
		return !present
	case poolkeeper.IfPresent:
		return present
	}
	return present && string(cond) == tag()
}

func errUnmet(op *poolkeeper.Op, present bool) error {
	e := poolkeeper.Errorf(poolkeeper.ErrConflict, "%s is not as the caller saw it", op.Subject())
	switch {
	case op.If == poolkeeper.IfAbsent && present:
		e = poolkeeper.Errorf(poolkeeper.ErrConflict, "%s exists", op.Subject())
	case !present:
		e = poolkeeper.Errorf(poolkeeper.ErrConflict, "%s does not exist", op.Subject())
	}
	return e.WithHint("read it again and decide anew")
}
