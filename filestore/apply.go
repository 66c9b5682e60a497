package filestore

import (
	"context"
	"errors"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// Bounds of what travels together.
const (
	groupOps   = 1000
	groupBytes = 8 << 20
)

// Apply applies ops, see [poolkeeper.Backend]. Ops of different keys, and all on
// runtime state, become durable together.
func (s *Store) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	results := make([]poolkeeper.Result, len(ops))
	s.life.RLock()
	defer s.life.RUnlock()
	for i := 0; i < len(ops); {
		if err := s.usable(ctx); err != nil {
			for ; i < len(ops); i++ {
				results[i].Err = refusal(&ops[i], err)
			}
			break
		}
		n := s.group(ops[i:], results[i:])
		s.applyGroup(ctx, ops[i:i+n], results[i:i+n])
		i += n
	}
	return results
}

// refusal is the error of an op; that of its context passes as it is.
func refusal(op *poolkeeper.Op, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return poolkeeper.Annotate(err, string(op.Kind), op.Subject())
}

// group counts the ops that can be decided at once, as none of them needs to
// see another one done. Those that are not valid are answered.
func (s *Store) group(ops []poolkeeper.Op, results []poolkeeper.Result) int {
	if len(ops) == 1 {
		results[0].Err = ops[0].Validate()
		return 1
	}
	taken := map[poolkeeper.Key]bool{}
	size := 0
	for i := range ops {
		list, n := holds(&ops[i])
		for _, h := range list[:n] {
			if sole, there := taken[h.key]; there && (sole || h.sole) {
				return i
			}
		}
		size += len(ops[i].Data)
		for k := range ops[i].Providers {
			size += len(ops[i].Providers[k].Definition)
		}
		if i == groupOps || i > 0 && size > groupBytes {
			return i
		}
		if results[i].Err = ops[i].Validate(); results[i].Err != nil {
			continue
		}
		for _, h := range list[:n] {
			taken[h.key] = h.sole
		}
	}
	return len(ops)
}

// applyGroup applies ops that do not depend on each other. Those that have an
// error already are left out.
func (s *Store) applyGroup(ctx context.Context, ops []poolkeeper.Op, results []poolkeeper.Result) {
	var one [1]int
	open := one[:0]
	for i := range ops {
		if results[i].Err == nil {
			open = append(open, i)
		}
	}
	for tries := 0; len(open) > 0 && tries < memstore.MaxDrafts; tries++ {
		if err := ctx.Err(); err != nil {
			for _, i := range open {
				results[i] = poolkeeper.Result{Err: err}
			}
			return
		}
		open = s.tryGroup(ctx, ops, results, open)
	}
}

// tryGroup applies the ops of a group that are open, and returns those that it
// must be tried with again, as what they build on changed meanwhile.
func (s *Store) tryGroup(ctx context.Context, ops []poolkeeper.Op, results []poolkeeper.Result, open []int) (again []int) {
	core := s.core.Load()
	var few [2]hold
	need := few[:0]
	var drafts map[int]*memstore.Draft
	for _, i := range open {
		list, n := holds(&ops[i])
		need = append(need, list[:n]...)
		// Before the gates: others need not wait for what takes long.
		if d := core.Draft(ctx, &ops[i], s.millis); d != nil {
			if drafts == nil {
				drafts = map[int]*memstore.Draft{}
			}
			drafts[i] = d
		}
	}
	if s.drafted != nil {
		s.drafted()
	}
	defer s.gates.pass(need)()
	at := s.millis()
	todo := make([]int, 0, len(open))
	records := make([][]byte, 0, len(open))
	for _, i := range open {
		res := core.Check(&ops[i], at, drafts[i])
		if drafts[i].Stale() {
			again = append(again, i)
		}
		if res.Err != nil || !res.Changed {
			results[i] = res
			continue
		}
		err := s.inside(&ops[i])
		var data []byte
		if err == nil {
			data, err = encodeDecision(&ops[i], at, s.writer)
		}
		if err != nil {
			results[i].Err = refusal(&ops[i], err)
			continue
		}
		todo, records = append(todo, i), append(records, data)
	}
	if len(todo) == 0 {
		return again
	}
	_, err := s.journal.Append(ctx, func(first uint64) {
		s.order.Lock()
		for _, i := range todo {
			results[i] = core.Commit(&ops[i], at, s.writer, drafts[i])
		}
		s.changed(first + uint64(len(records)) - 1)
		s.order.Unlock()
	}, records...)
	if err != nil {
		for _, i := range todo {
			results[i] = poolkeeper.Result{Err: refusal(&ops[i], err)}
		}
	}
	return again
}

func (s *Store) millis() int64 { return s.now().UnixMilli() }

// changed says that the state is that after a record. It is called with the
// order held.
func (s *Store) changed(seq uint64) {
	s.seq = seq
	select {
	case s.dirty <- struct{}{}:
	default: // it is known already
	}
}

// usable reports why ops and reads must be refused, if they must.
func (s *Store) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case s.closed:
		return poolkeeper.Errorf(poolkeeper.ErrClosed, "store is closed")
	case s.core.Load() == nil:
		return s.uninitialised()
	}
	return nil
}

// Load reads from memory, see [poolkeeper.Backend].
func (s *Store) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	s.life.RLock()
	defer s.life.RUnlock()
	core := s.core.Load()
	if core == nil && !s.closed {
		core = memstore.New(nil) // which says what can be said of one that is empty
	}
	if s.closed {
		return nil, poolkeeper.Annotate(s.usable(ctx), "load", "store")
	}
	snap, err := core.Load(ctx, keys...)
	if errors.Is(err, poolkeeper.ErrUninitialized) {
		err = poolkeeper.Annotate(s.uninitialised(), "load", "store")
	}
	return snap, err
}
