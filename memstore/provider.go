package memstore

import (
	"bytes"
	"slices"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A pool is the providers of one type: by id to be found, in order to be read.
type pool struct {
	byID  map[string]*provider
	order []*provider
}

// A provider keeps the literals of its definition beside it, so that an op on
// its runtime state parses nothing.
type provider struct {
	id         string
	definition []byte
	literals   poolkeeper.Literals
	state      poolkeeper.State
	viewed     uint64 // the last View that has it, or for which it was kept
}

// An alias is where an old id leads.
type alias struct {
	id   string
	ends int64 // in milliseconds since 1970
}

func newProvider(id string, definition []byte) *provider {
	return &provider{id: id, definition: definition, literals: poolkeeper.LiteralsOf(definition)}
}

func (p *provider) etag() string { return poolkeeper.ETag(p.definition) }

// find returns the provider that a ref reaches, through aliases too, or nil.
func (s *Store) find(ref poolkeeper.Ref, at func() int64) *provider {
	pl := s.pools[ref.Type]
	if pl == nil {
		return nil
	}
	if p := pl.byID[ref.ID]; p != nil {
		return p
	}
	// Whoever gets an id loses its alias, so aliases make no circle.
	now := at()
	for {
		a, ok := s.aliases.lookup(ref)
		if !ok || now >= a.ends {
			return nil
		}
		ref.ID = a.id
		if p := pl.byID[ref.ID]; p != nil {
			return p
		}
	}
}

// leadsTo follows the ids that a provider had to the last one, be it there still
// or not.
func (s *Store) leadsTo(ref poolkeeper.Ref, at int64) string {
	pl := s.pools[ref.Type]
	for pl == nil || pl.byID[ref.ID] == nil {
		a, ok := s.aliases.lookup(ref)
		if !ok || at >= a.ends {
			break
		}
		ref.ID = a.id
	}
	return ref.ID
}

// target finds the provider of an op on something that has to be there, and
// checks the condition of the op on it.
func (s *Store) target(op *poolkeeper.Op) (*provider, error) {
	p := s.find(op.Ref(), s.at)
	if err := check(op.If, p != nil, p.etag); err != nil {
		return nil, err
	}
	if p == nil {
		return nil, notFound("provider")
	}
	return p, nil
}

// putProvider adds a provider, or gives the one there another definition.
func (s *Store) putProvider(op *poolkeeper.Op) (changed bool, err error) {
	var old *provider
	if pl := s.pools[op.Key.Type]; pl != nil {
		old = pl.byID[op.ID]
	}
	if op.Kind == poolkeeper.OpAddProvider && old != nil {
		return false, poolkeeper.Errorf(poolkeeper.ErrExists, "the pool has this provider already")
	}
	if err := check(op.If, old != nil, old.etag); err != nil {
		return false, err
	}
	next := successor(old, op.ID, op.Data, op.State)
	if old != nil {
		changed = !next.equal(old)
		if !s.dry {
			s.become(op.Key.Type, old, next)
			s.willPut(old)
		}
		return changed, nil
	}
	if s.dry {
		return true, nil
	}
	pl := s.makePool(op.Key.Type)
	pl.byID[op.ID] = next
	pl.order = append(pl.order, next)
	s.aliases.delete(op.Ref())
	s.willPut(next)
	return true, nil
}

// successor returns a provider with a new definition. Its runtime state is the
// one given, else the effective one of the provider that it succeeds, if any.
func successor(old *provider, id string, definition []byte, state *poolkeeper.State) *provider {
	next := newProvider(id, definition)
	switch {
	case state != nil:
		next.state = *state
	case old != nil:
		next.state = old.state.Carry(&old.literals, &next.literals)
	}
	return next
}

func (p *provider) equal(q *provider) bool {
	return p.id == q.id && p.state == q.state && bytes.Equal(p.definition, q.definition)
}

func (s *Store) patchProvider(op *poolkeeper.Op) (id string, changed bool, err error) {
	p, err := s.target(op)
	if err != nil {
		return "", false, err
	}
	next, err := s.patched(op, p.definition)
	if err != nil {
		return "", false, err
	}
	changed = !bytes.Equal(next, p.definition)
	if s.dry {
		return p.id, changed, nil
	}
	s.become(op.Key.Type, p, successor(p, p.id, next, nil))
	s.willPut(p)
	return p.id, changed, nil
}

func (s *Store) deleteProvider(op *poolkeeper.Op) (id string, changed bool, err error) {
	p, err := s.target(op)
	if err != nil {
		return "", false, err
	}
	if s.dry {
		return p.id, true, nil
	}
	pl := s.pools[op.Key.Type]
	delete(pl.byID, p.id)
	s.keepOrder(pl)
	i := slices.Index(pl.order, p)
	pl.order = slices.Delete(pl.order, i, i+1)
	s.change = poolkeeper.Change{Kind: poolkeeper.ChangeDelete, ID: p.id}
	return p.id, true, nil
}

func (s *Store) renameProvider(op *poolkeeper.Op) (id string, changed bool, err error) {
	if p := s.find(op.Ref(), s.at); p != nil && p.id == op.NewID {
		return p.id, false, nil
	}
	p, err := s.target(op)
	if err != nil {
		return "", false, err
	}
	pl := s.pools[op.Key.Type]
	if pl.byID[op.NewID] != nil {
		return "", false, poolkeeper.Errorf(poolkeeper.ErrExists, "the pool has a provider %q already", op.NewID)
	}
	definition, err := rawjson.Set(p.definition, "uuid", rawjson.Quote(op.NewID))
	if err != nil {
		return "", false, poolkeeper.Errorf(poolkeeper.ErrDamaged, "the stored definition is damaged: %v", err)
	}
	if err := poolkeeper.ValidateDefinition(definition); err != nil {
		return "", false, err
	}
	if s.dry {
		return op.NewID, true, nil
	}
	old := p.id
	delete(pl.byID, old)
	s.become(op.Key.Type, p, successor(p, op.NewID, definition, nil))
	pl.byID[p.id] = p
	s.aliases.delete(poolkeeper.Ref{Type: op.Key.Type, ID: p.id})
	s.aliases.set(poolkeeper.Ref{Type: op.Key.Type, ID: old}, alias{p.id, s.at() + poolkeeper.AliasLife})
	s.change = poolkeeper.Change{Kind: poolkeeper.ChangeRename, ID: old, NewID: p.id, Definition: p.definition}
	return p.id, true, nil
}
