package memstore

import (
	"bytes"
	"context"

	"github.com/poolkeeper/poolkeeper"
)

// A Draft is what a patch makes of the bytes that it found: computed while
// others go on, as a patch may take long. It counts only while those bytes are
// there still.
type Draft struct {
	there bool // something to patch
	of    []byte
	to    []byte
	err   error
	stale bool
}

// Stale reports that a Check with the draft found other bytes than it was made
// of: another draft is to be made.
func (d *Draft) Stale() bool { return d != nil && d.stale }

// MaxDrafts bounds how often a patch is computed anew because what it builds on
// changed meanwhile.
const MaxDrafts = 100

var errStale = poolkeeper.Errorf(poolkeeper.ErrConflict, "others keep changing it").WithHint("try again")

// Draft computes what a valid op is going to make of what is there now; nil
// where that takes no long computing. Nobody waits for it, and it ends with ctx.
func (s *Store) Draft(ctx context.Context, op *poolkeeper.Op, at func() int64) *Draft {
	if op.Kind != poolkeeper.OpPatch && op.Kind != poolkeeper.OpPatchProvider {
		return nil
	}
	d := &Draft{}
	if d.of, d.there = s.patchable(op, at); d.there {
		d.to, d.err = op.PatchedValue(ctx, d.of)
	}
	if s.drafted != nil {
		s.drafted()
	}
	return d
}

// patchable returns what an op is going to patch, if it will not be refused.
func (s *Store) patchable(op *poolkeeper.Op, at func() int64) (data []byte, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.usable() != nil {
		return nil, false
	}
	if op.Kind == poolkeeper.OpPatch {
		if d, there := s.value(op.Key, at); there && check(op.If, true, d.ETag) == nil {
			return d.Data, true
		}
		return nil, false
	}
	if p := s.find(op.Ref(), at); p != nil && check(op.If, true, p.etag) == nil {
		return p.definition, true
	}
	return nil, false
}

// patched returns what the op under way makes of the bytes that are there, which
// its draft knows if it was made of them.
func (s *Store) patched(op *poolkeeper.Op, current []byte) ([]byte, error) {
	switch d := s.draft; {
	case d == nil:
		return op.PatchedValue(context.Background(), current)
	case !d.there || !bytes.Equal(d.of, current):
		d.stale = true
		return nil, errStale
	default:
		return d.to, d.err
	}
}

// inTurn applies a valid op in its turn: with a draft, which is made anew until
// nothing came between.
func (s *Store) inTurn(ctx context.Context, op *poolkeeper.Op) (res poolkeeper.Result, err error) {
	for range MaxDrafts {
		d := s.Draft(ctx, op, s.millis)
		if res, err = s.turn(op, d); !d.Stale() {
			break
		}
		if ctx.Err() != nil {
			return res, ctx.Err()
		}
	}
	return res, err
}

func (s *Store) turn(op *poolkeeper.Op, d *Draft) (poolkeeper.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return poolkeeper.Result{}, err
	}
	s.at, s.by, s.dry, s.draft = s.millis, s.writer, false, d
	return s.dispatch(op)
}
