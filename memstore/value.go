package memstore

import (
	"bytes"

	"github.com/poolkeeper/poolkeeper"
)

// value returns the value under a key. A session that has expired is not there.
func (s *Store) value(key poolkeeper.Key, at func() int64) (poolkeeper.Document, bool) {
	d, ok := s.values[key.Kind].lookup(key)
	if ok && expired(d, at) {
		return poolkeeper.Document{}, false
	}
	return d, ok
}

// expired asks for the time only where it counts.
func expired(d poolkeeper.Document, now func() int64) bool {
	return d.ExpiresAt != 0 && now() >= d.ExpiresAt
}

// changeValue puts, patches or deletes the value under a key.
func (s *Store) changeValue(op *poolkeeper.Op) (poolkeeper.Result, error) {
	old, there := s.value(op.Key, s.at)
	res := poolkeeper.Result{Status: poolkeeper.Applied, Revision: old.Revision}
	if err := check(op.If, there, old.ETag); err != nil {
		return poolkeeper.Result{}, err
	}
	if !there && op.Kind != poolkeeper.OpPut {
		return poolkeeper.Result{}, notFound(string(op.Key.Kind))
	}
	switch op.Kind {
	case poolkeeper.OpDelete:
		if res.Changed = true; s.dry {
			return res, nil
		}
		s.values[op.Key.Kind].delete(op.Key)
		res.Revision = s.touch(op.Key)
		return res, nil
	case poolkeeper.OpPatch:
		data, err := s.patched(op, old.Data)
		if err != nil {
			return poolkeeper.Result{}, err
		}
		return s.setValue(op.Key, old, poolkeeper.Document{Data: data}, there), nil
	}
	next := poolkeeper.Document{Data: op.Data, ExpiresAt: op.ExpiresAt}
	if next.Data == nil {
		next.Data = []byte{}
	}
	return s.setValue(op.Key, old, next, there), nil
}

// setValue keeps a value, with a new revision where it is another one.
func (s *Store) setValue(key poolkeeper.Key, old, next poolkeeper.Document, there bool) poolkeeper.Result {
	res := poolkeeper.Result{Status: poolkeeper.Applied, Revision: old.Revision}
	if there && old.ExpiresAt == next.ExpiresAt && bytes.Equal(old.Data, next.Data) {
		return res
	}
	if res.Changed = true; s.dry {
		return res
	}
	res.Revision = s.touch(key)
	next.Revision = res.Revision
	if s.values[key.Kind] == nil {
		s.values[key.Kind] = newCowMap[poolkeeper.Key, poolkeeper.Document]()
	}
	s.values[key.Kind].set(key, next)
	if next.ExpiresAt != 0 {
		s.sweep(key.Kind)
	}
	return res
}

// sweep forgets what has expired, once in a while, so that the cost of looking
// is shared among many puts.
func (s *Store) sweep(kind poolkeeper.KeyKind) {
	const few = 64
	values := s.values[kind]
	if values.len() < max(few, s.sweepAt) {
		return
	}
	now := s.at()
	values.deleteFunc(func(key poolkeeper.Key, d poolkeeper.Document) bool {
		if !expired(d, func() int64 { return now }) {
			return false
		}
		s.revisions.delete(key)
		return true
	})
	s.sweepAt = 2 * values.len()
}
