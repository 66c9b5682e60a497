package memstore

import (
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// makePool returns the pool of a type, and creates it after the others where
// there is none.
func (s *Store) makePool(typ string) *pool {
	pl := s.pools[typ]
	if pl == nil {
		pl = &pool{byID: map[string]*provider{}}
		s.pools[typ] = pl
		s.types = append(s.types, typ)
		s.touch(poolkeeper.TypesKey)
	}
	return pl
}

// checkPool checks the condition of an op on a pool as a whole.
func (s *Store) checkPool(op *poolkeeper.Op) (*pool, error) {
	pl := s.pools[op.Key.Type]
	return pl, check(op.If, pl != nil, func() string { return s.structures.get(op.Key.Type).String() })
}

func (s *Store) replacePool(op *poolkeeper.Op) (changed bool, err error) {
	old, err := s.checkPool(op)
	if err != nil {
		return false, err
	}
	pl := old
	if pl == nil {
		pl = &pool{}
	}
	next := pool{byID: make(map[string]*provider, len(op.Providers)), order: make([]*provider, len(op.Providers))}
	for i := range op.Providers {
		r := &op.Providers[i]
		p := successor(pl.byID[r.ID], r.ID, r.Definition, r.State)
		next.byID[r.ID], next.order[i] = p, p
	}
	changed = old == nil || !slices.EqualFunc(pl.order, next.order, (*provider).equal)
	if s.dry {
		return changed, nil
	}
	for i := range op.Providers {
		s.aliases.delete(poolkeeper.Ref{Type: op.Key.Type, ID: op.Providers[i].ID})
	}
	*s.makePool(op.Key.Type) = next
	return changed, nil
}

func (s *Store) reorderPool(op *poolkeeper.Op) (changed bool, err error) {
	pl, err := s.checkPool(op)
	if err != nil {
		return false, err
	}
	if pl == nil {
		return false, notFound("pool")
	}
	if err := permutes(op.Order, maps.Keys(pl.byID), "provider"); err != nil {
		return false, err
	}
	if !s.dry {
		s.keepOrder(pl)
	}
	for i, id := range op.Order {
		p := pl.byID[id]
		if changed = changed || pl.order[i] != p; !s.dry {
			pl.order[i] = p
		}
	}
	return changed, nil
}

func (s *Store) deletePool(op *poolkeeper.Op) (changed bool, err error) {
	pl, err := s.checkPool(op)
	if err != nil {
		return false, err
	}
	if pl == nil {
		return false, notFound("pool")
	}
	if s.dry {
		return true, nil
	}
	delete(s.pools, op.Key.Type)
	i := slices.Index(s.types, op.Key.Type)
	s.types = slices.Delete(s.types, i, i+1)
	s.touch(poolkeeper.TypesKey)
	return true, nil
}

func (s *Store) reorderTypes(op *poolkeeper.Op) (changed bool, err error) {
	if err := permutes(op.Order, slices.Values(s.types), "type"); err != nil {
		return false, err
	}
	changed = !slices.Equal(s.types, op.Order)
	if !s.dry {
		s.types = slices.Clone(op.Order)
	}
	return changed, nil
}

// permutes reports where an order, in which nothing stands twice, is not one of
// exactly the present names.
func permutes(order []string, present func(func(string) bool), what string) error {
	missing := map[string]bool{}
	for name := range present {
		missing[name] = true
	}
	for _, name := range order {
		if !missing[name] {
			return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the order names the %s %q, which is not there", what, name)
		}
		delete(missing, name)
	}
	if len(missing) > 0 {
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the order does not name the %s %q", what, slices.Min(slices.Collect(maps.Keys(missing))))
	}
	return nil
}

// typesOf returns the types of a snapshot in their order, then those of pools
// that it does not list.
func typesOf(snap *poolkeeper.Snapshot) []string {
	var types []string
	seen := map[string]bool{}
	for _, typ := range append(slices.Clone(snap.Types), slices.Sorted(maps.Keys(snap.Pools))...) {
		if !seen[typ] {
			types = append(types, typ)
		}
		seen[typ] = true
	}
	return types
}
