package redisstore

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Replayer = (*Store)(nil)

// Resume implements poolkeeper.Replayer.
func (s *Store) Resume(f *poolkeeper.Frozen) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	r, err := decodeRequest(f.Request, len(f.Ops))
	if err != nil {
		return err
	}
	if sum := sha1.Sum(f.Program); hex.EncodeToString(sum[:]) != f.ProgramName || len(f.Ops) == 0 {
		return errFrozen
	}
	if r.key != s.laneKey(f.Key) {
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "a frozen request of %s is of a store with another prefix", f.Key).
			WithHint("use the --key-prefix that it was made with")
	}
	l := s.lane(r.key)
	s.Hold(f.Key, true)
	l.mu.Lock()
	l.forget()
	l.mu.Unlock()
	b := &batch{kind: r.kind, formed: time.Now(), queued: true, origin: r.origin}
	w := &work{lane: l, batch: b, orphaned: true, sent: true, stuck: true, began: f.At,
		sender:  &sender{writer: r.writer, seq: r.seq - 1, last: s.opts.Now(), resent: true, rowOf: r.rows},
		request: &request{script: &script{r.script, string(f.Program), f.ProgramName}, keys: r.keys, args: r.args, origin: r.origin},
		frozen:  &frozen{Frozen: f, epoch: r.epoch}}
	for i := range f.Ops {
		op := &f.Ops[i]
		c := &call{kind: r.kind, op: &op.Op, entry: op.Entry, id: r.ids[i], row: w.request}
		if c.id == "" {
			c.id = op.Op.ID
		}
		b.calls, w.open, w.frozen.calls = append(b.calls, c), append(w.open, i), append(w.frozen.calls, i)
	}
	if r.kind == usageBatch {
		if w.rows, err = l.rowsOf(r, b.calls); err != nil {
			return err
		}
	}
	if s.opts.Now().UnixMilli()-f.At > maxFrozen.Milliseconds() {
		w.setAside(errTooOld)
	}
	l.flying.Add(1)
	l.resending.Add(1)
	l.goOn(w)
	return nil
}

// Hold implements poolkeeper.Replayer.
func (s *Store) Hold(key poolkeeper.Key, on bool) {
	name := s.laneKey(key)
	if on {
		s.held.Store(name, true)
		s.lane(name).held.Store(true)
		return
	}
	s.held.Delete(name)
	if l, ok := s.lanes.Load(name); ok {
		l.(*lane).held.Store(false)
	}
}

// Replay implements poolkeeper.Replayer.
func (s *Store) Replay(ctx context.Context, ops []poolkeeper.QueuedOp) []poolkeeper.Result {
	results := make([]poolkeeper.Result, len(ops))
	if err := s.enter(); err != nil {
		return failAll(results, err)
	}
	defer s.leave()
	if len(ops) == 0 {
		return results
	}
	l := s.lane(s.laneKey(ops[0].Op.Key))
	l.broken.Store(nil)
	for i := 0; i < len(ops); {
		if err := s.writable(ctx); err != nil {
			return failRest(results, i, err)
		}
		n := i
		for n < len(ops) && ops[n].Op.IsRuntime() && ops[n].Op.Key == ops[i].Op.Key {
			n++
		}
		if n > i {
			l = l.replay(ctx, ops[i:n], results[i:n])
		} else {
			results[n] = s.applyOne(ctx, &ops[n].Op, ops[n].Entry)
			n++
		}
		for ; i < n; i++ {
			if err := results[i].Err; err != nil && !ofOp(err) {
				return failRest(results, n, err)
			}
		}
	}
	return results
}

// failRest answers the ops from one on that are behind one that was not applied.
func failRest(results []poolkeeper.Result, from int, err error) []poolkeeper.Result {
	failAll(results[from:], poolkeeper.Errorf(poolkeeper.ErrUnavailable, "an op before it could not be applied: %v", err))
	if from == 0 && len(results) > 0 {
		results[0].Err = err
	}
	return results
}

// ofOp reports whether an error is that of one op, behind which others go on.
func ofOp(err error) bool {
	switch poolkeeper.ClassOf(err).Err {
	case poolkeeper.ErrInvalid, poolkeeper.ErrTooLarge, poolkeeper.ErrNotFound, poolkeeper.ErrExists, poolkeeper.ErrConflict, poolkeeper.ErrReused:
		return true
	}
	return false
}

// replay sends ops on runtime state through the lane, in as few batches as they
// fit in.
func (l *lane) replay(ctx context.Context, ops []poolkeeper.QueuedOp, results []poolkeeper.Result) *lane {
	ops = slices.Clone(ops)
	l.wholeOrigins(ops)
	var newest, oldest *call
	calls := make([]*call, len(ops))
	for i := range ops {
		op := &ops[i].Op
		if results[i].Err = op.Validate(); results[i].Err != nil {
			continue
		}
		c := runtimeCall(op, ops[i].Entry)
		c.origin = ops[i].Origin
		if c.next = newest; oldest == nil {
			oldest = c
		}
		calls[i], newest = c, c
	}
	if newest == nil {
		return l
	}
	l = l.push(newest, oldest)
	if l.flying.Load() == 0 && l.claim() {
		l.goOn(nil)
	}
	for i, c := range calls {
		if c == nil {
			continue
		}
		select {
		case <-c.done:
			results[i] = c.result
			c.release()
			continue
		case <-ctx.Done():
		}
		if c.state.CompareAndSwap(callWaiting, callGivenUp) {
			results[i].Err = ctx.Err()
			continue
		}
		l.broken.CompareAndSwap(nil, &failure{err: ctx.Err()}) // nothing goes out behind what is left
		select {
		case <-c.done:
			results[i] = c.result
			c.release()
		default:
			results[i].Err = poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "the caller gave up while the op was under way: %v", ctx.Err())
		}
	}
	return l
}
