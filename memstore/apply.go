package memstore

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

// Apply applies the ops one after the other.
func (s *Store) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	results := make([]poolkeeper.Result, len(ops))
	for i := range ops {
		if err := ctx.Err(); err != nil {
			results[i].Err = err
			continue
		}
		err := ops[i].Validate()
		if err == nil {
			results[i], err = s.inTurn(ctx, &ops[i])
		}
		if err != nil {
			results[i] = poolkeeper.Result{Err: poolkeeper.Annotate(err, string(ops[i].Kind), ops[i].Subject())}
		}
	}
	return results
}

// Check answers a valid op as [Store.Commit] would at that time, and changes
// nothing. The revision is that of now. Of an op on runtime state it says
// whether it would be refused, and no more. The draft may be nil; where it is
// [Draft.Stale] after that, the answer does not count.
func (s *Store) Check(op *poolkeeper.Op, at int64, d *Draft) poolkeeper.Result {
	if op.IsRuntime() { // many at once, as nothing is written
		s.mu.RLock()
		defer s.mu.RUnlock()
		err := s.usable()
		if err == nil {
			err = s.findable(op, at)
		}
		return poolkeeper.Result{Err: poolkeeper.Annotate(err, string(op.Kind), op.Subject()), Changed: true}
	}
	return s.decided(op, at, s.writer, d, true)
}

// findable reports why an op on runtime state would be refused. One that was
// counted under its key is answered, whatever became of the provider.
func (s *Store) findable(op *poolkeeper.Op, at int64) error {
	if op.IdempotencyKey != "" {
		if _, done, err := s.wasCounted(op, at); done || err != nil {
			return err
		}
	}
	if s.find(op.Ref(), func() int64 { return at }) == nil {
		return notFound("provider")
	}
	return nil
}

// Commit applies a valid op as it was decided at that time, in milliseconds
// since 1970, by that instance: the same ops with the same times and instances
// make the same state. A draft only makes it faster, and may be nil or stale.
func (s *Store) Commit(op *poolkeeper.Op, at int64, writer string, d *Draft) poolkeeper.Result {
	res := s.decided(op, at, writer, d, false)
	if d.Stale() {
		res = s.decided(op, at, writer, nil, false)
	}
	return res
}

func (s *Store) decided(op *poolkeeper.Op, at int64, writer string, d *Draft, dry bool) poolkeeper.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.usable()
	var res poolkeeper.Result
	if err == nil {
		s.at, s.by, s.dry, s.draft = func() int64 { return at }, writer, dry, d
		res, err = s.dispatch(op)
	}
	if err != nil {
		return poolkeeper.Result{Err: poolkeeper.Annotate(err, string(op.Kind), op.Subject())}
	}
	return res
}

// dispatch applies a valid op, once under its idempotency key.
func (s *Store) dispatch(op *poolkeeper.Op) (poolkeeper.Result, error) {
	if op.IdempotencyKey != "" {
		return s.once(op)
	}
	return s.perform(op)
}

// perform applies a valid op. Each case checks everything before it changes
// anything, and stops there in a dry run.
func (s *Store) perform(op *poolkeeper.Op) (poolkeeper.Result, error) {
	if s.watched() {
		s.change = poolkeeper.Change{} // an op that changed nothing may have left one
	}
	var res poolkeeper.Result
	var err error
	switch op.Kind {
	case poolkeeper.OpPut, poolkeeper.OpPatch, poolkeeper.OpDelete:
		return s.changeValue(op)
	case poolkeeper.OpReorderTypes:
		res.Changed, err = s.reorderTypes(op)
	case poolkeeper.OpReplacePool:
		res.Changed, err = s.replacePool(op)
	case poolkeeper.OpReorderPool:
		res.Changed, err = s.reorderPool(op)
	case poolkeeper.OpDeletePool:
		res.Changed, err = s.deletePool(op)
	case poolkeeper.OpAddProvider, poolkeeper.OpPutProvider:
		res.ID = op.ID
		res.Changed, err = s.putProvider(op)
	case poolkeeper.OpPatchProvider:
		res.ID, res.Changed, err = s.patchProvider(op)
	case poolkeeper.OpDeleteProvider:
		res.ID, res.Changed, err = s.deleteProvider(op)
	case poolkeeper.OpRenameProvider:
		res.ID, res.Changed, err = s.renameProvider(op)
	default:
		res, err = s.decide(op)
	}
	if err != nil {
		return poolkeeper.Result{}, err
	}
	res.Status = poolkeeper.Applied
	if !res.Changed || s.dry {
		res.Revision = s.revisions.get(lane(op.Key))
		return res, nil
	}
	res.Revision = s.touch(op.Key)
	if op.Key.Kind == poolkeeper.KindPool && !op.IsRuntime() {
		s.structures.set(op.Key.Type, res.Revision)
	}
	return res, nil
}

// decide applies an op on runtime state.
func (s *Store) decide(op *poolkeeper.Op) (poolkeeper.Result, error) {
	p := s.find(op.Ref(), s.at)
	if p == nil {
		return poolkeeper.Result{}, notFound("provider")
	}
	s.keep(op.Key.Type, p)
	watched, was := s.watched(), poolkeeper.State{}
	if watched {
		was = p.state
	}
	res := poolkeeper.Decide(op, &p.literals, &p.state)
	if res.ID = p.id; watched && res.Changed {
		s.change = stateChange(p, &was)
	}
	return res, res.Err
}

// touch moves the revision of a key on.
func (s *Store) touch(key poolkeeper.Key) poolkeeper.Revision {
	l := lane(key)
	before := s.revisions.get(l)
	r := before
	r.Number++
	r.Seq++
	r.Writer = s.by
	s.revisions.set(l, r)
	if s.watched() {
		s.tell(key, before, r)
	}
	return r
}

// lane returns the key by which the ops of a key are ordered: files are ordered
// together, and so are token refs.
func lane(key poolkeeper.Key) poolkeeper.Key {
	switch key.Kind {
	case poolkeeper.KindFile, poolkeeper.KindTokenRefs:
		return poolkeeper.Key{Kind: key.Kind}
	}
	return key
}

// check reports a condition that does not hold for a target, whose tag is asked
// for only where it counts.
func check(cond poolkeeper.If, there bool, tag func() string) error {
	switch {
	case cond == poolkeeper.Always, cond == poolkeeper.IfAbsent && !there, cond == poolkeeper.IfPresent && there:
		return nil
	case cond == poolkeeper.IfAbsent:
		return poolkeeper.Errorf(poolkeeper.ErrConflict, "it is there already")
	case !there:
		return poolkeeper.Errorf(poolkeeper.ErrConflict, "it is not there")
	case string(cond) == tag():
		return nil
	}
	return poolkeeper.Errorf(poolkeeper.ErrConflict, "it has changed since it was read").
		WithHint("read it again and decide anew")
}

func notFound(what string) error {
	return poolkeeper.Errorf(poolkeeper.ErrNotFound, "there is no such %s", what)
}
