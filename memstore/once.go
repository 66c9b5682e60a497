package memstore

import (
	"cmp"
	"maps"
	"slices"

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

func (s *Store) allCounted() []Counted {
	all := make([]Counted, 0, len(s.counted))
	for k, r := range s.counted {
		c := Counted{Type: k.typ, Key: k.key, ID: r.id, N: r.n, Until: r.until, Count: r.got.Count}
		if r.got.ID != r.id {
			c.ReachedID = r.got.ID
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Counted) int {
		return cmp.Or(cmp.Compare(a.Until, b.Until), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Key, b.Key))
	})
	return all
}

func (s *Store) setCounted(all []Counted) {
	s.counted = make(map[onceKey]onceResult, len(all))
	for _, c := range all {
		got := poolkeeper.Result{Status: poolkeeper.Applied, ID: cmp.Or(c.ReachedID, c.ID), Count: c.Count, Changed: true}
		s.counted[onceKey{c.Type, c.Key}] = onceResult{c.ID, c.N, c.Until, got}
	}
	s.forgetAt = 2*len(all) + 64
}
