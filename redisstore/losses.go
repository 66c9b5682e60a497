package redisstore

import (
	"cmp"
	"slices"
	"sync"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Mender = (*Store)(nil)

// losses is what was lost for good since the store was opened.
type losses struct {
	mu   sync.Mutex
	all  map[lossKey]*poolkeeper.Loss
	told map[poolkeeper.Key]bool // in the log
}

type lossKey struct {
	key    poolkeeper.Key
	reason string
}

// maxTold is how many keys with a loss have a line of their own in the log.
const maxTold = 100

// report notes what was lost for good: durably, where there is a Spool that can.
func (s *Store) report(key poolkeeper.Key, why error, ops, n int64, exact bool) {
	now := s.opts.Now().UnixMilli()
	one := poolkeeper.Loss{Key: key, Reason: poolkeeper.ClassOf(why).Code, Ops: ops, N: n, AtMost: !exact, First: now, Last: now}
	if keeper, ok := s.opts.Spool.(poolkeeper.Rescuer); ok {
		if err := keeper.Lose(one); err != nil {
			s.opts.Logger.Warn("a loss cannot be noted in the journal", "key", key.String(), "ops", ops, "n", n, "error", err)
		}
	}
	l := &s.losses
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all, l.told = map[lossKey]*poolkeeper.Loss{}, map[poolkeeper.Key]bool{}
	}
	k := lossKey{key, one.Reason}
	if l.all[k] == nil {
		l.all[k] = &poolkeeper.Loss{}
	}
	l.all[k].Add(one)
	switch {
	case l.told[key]:
	case len(l.told) < maxTold:
		l.told[key] = true
		s.opts.Logger.Error("Redis has lost acknowledged changes for good", "key", key.String(), "ops", ops, "usage", n, "reason", why)
	case len(l.told) == maxTold:
		l.told[key] = true
		s.opts.Logger.Error("Redis has lost acknowledged changes of further keys for good: the status lists them")
	}
}

// Lost implements poolkeeper.Mender.
func (s *Store) Lost() []poolkeeper.Loss {
	s.losses.mu.Lock()
	defer s.losses.mu.Unlock()
	all := make([]poolkeeper.Loss, 0, len(s.losses.all))
	for _, l := range s.losses.all {
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b poolkeeper.Loss) int {
		return cmp.Or(cmp.Compare(a.Key.String(), b.Key.String()), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}

// lostOps is how many ops that are.
func (s *Store) lostOps() (n int64) {
	for _, l := range s.Lost() {
		n += l.Ops
	}
	return n
}

// Unsettled implements poolkeeper.Mender.
func (s *Store) Unsettled(key poolkeeper.Key, number uint64) []poolkeeper.Op {
	v, ok := s.lanes.Load(s.laneKey(key))
	if !ok {
		return nil
	}
	l := v.(*lane)
	l.mu.Lock()
	defer l.mu.Unlock()
	var ops []poolkeeper.Op
	for _, c := range l.tail.stretches {
		for _, b := range c.batches(key) {
			for _, k := range b.ops {
				if b.number > number && k.op != nil && k.op.Key == key {
					ops = append(ops, *k.op)
				}
			}
		}
	}
	return ops
}

// unmended reports what a store that closes has not applied again.
func (s *Store) unmended() {
	s.lanes.Range(func(_, v any) bool {
		l := v.(*lane)
		if r := l.repair.Load(); r != nil {
			for _, op := range append(r.ops, r.todo...) {
				if op.op != nil {
					s.report(op.op.Key, poolkeeper.ErrClosed, 1, counts(op.op), r.sub == nil)
				}
			}
		}
		return true
	})
}
