package memstore

import (
	"maps"

	"github.com/poolkeeper/poolkeeper"
)

// A onceKey is an idempotency key, which is one within its pool.
type onceKey struct{ typ, key string }

// A onceResult is what was counted under an idempotency key.
type onceResult struct {
	id    string // that the op was given
	n     int64
	until int64
	got   poolkeeper.Result
}

// wasCounted returns what was counted under the idempotency key of an op, and
// whether anything was. ErrReused where that was another increment.
func (s *Store) wasCounted(op *poolkeeper.Op, at int64) (got poolkeeper.Result, done bool, err error) {
	was, ok := s.counted[onceKey{op.Key.Type, op.IdempotencyKey}]
	switch {
	case !ok || at >= was.until:
		return got, false, nil
	case was.id != op.ID || was.n != op.N:
		return got, false, poolkeeper.Errorf(poolkeeper.ErrReused, "the idempotency key was used in this pool for another increment").
			WithHint("an increment that is not a retry needs a key of its own")
	}
	was.got.Revision = s.revisions[lane(op.Key)]
	return was.got, true, nil
}

// once applies an increment, unless it was already under its idempotency key.
func (s *Store) once(op *poolkeeper.Op) (poolkeeper.Result, error) {
	at := s.at()
	res, done, err := s.wasCounted(op, at)
	if done || err != nil {
		return res, err
	}
	if res, err = s.perform(op); err != nil {
		return res, err
	}
	if len(s.counted) >= s.forgetAt {
		maps.DeleteFunc(s.counted, func(_ onceKey, r onceResult) bool { return r.until <= at })
		s.forgetAt = 2*len(s.counted) + 64
	}
	s.counted[onceKey{op.Key.Type, op.IdempotencyKey}] = onceResult{op.ID, op.N, at + poolkeeper.IdempotencyLife, res}
	return res, nil
}
