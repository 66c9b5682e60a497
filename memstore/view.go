package memstore

import (
	"context"
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// A View is the state at one moment, of which an Image is made while ops go on.
// It must be made, and only once: the next View waits for that.
type View struct {
	s     *Store
	image *Image
	// orders :: type → the providers that its pool has
	orders  map[string][]*provider
	values  []*cowMap[poolkeeper.Key, poolkeeper.Document]
	aliases *cowMap[poolkeeper.Ref, alias]
	// revisions and structures as in the store
	revisions  *cowMap[poolkeeper.Key, poolkeeper.Revision]
	structures *cowMap[string, poolkeeper.Revision]
	// kept are providers as they were before an op changed them.
	kept map[*provider]poolkeeper.Provider
}

// View takes the state as it is now, sessions that have expired included. What
// that takes does not depend on how much there is. The error is that of Load.
func (s *Store) View(ctx context.Context) (*View, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.imaging.Lock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		s.imaging.Unlock()
		return nil, err
	}
	v := &View{
		s: s, orders: make(map[string][]*provider, len(s.types)), kept: map[*provider]poolkeeper.Provider{},
		aliases: s.aliases.view(), revisions: s.revisions.view(), structures: s.structures.view(),
		image: &Image{Snapshot: poolkeeper.NewSnapshot(), SweepAt: s.sweepAt, Counted: s.counted.view()},
	}
	v.image.Types = slices.Clone(s.types)
	maps.Copy(v.image.Meta, s.meta)
	for typ, pl := range s.pools {
		v.orders[typ] = pl.order
	}
	for _, values := range s.values {
		v.values = append(v.values, values.view())
	}
	s.views++
	s.view = v
	return v, nil
}

// Image makes the image. Ops go on meanwhile, and are not in it.
func (v *View) Image() *Image {
	s, image := v.s, v.image
	defer s.imaging.Unlock()
	for _, typ := range image.Types {
		order := v.orders[typ]
		p := &poolkeeper.Pool{
			Type: typ, Revision: v.revisions.get(poolkeeper.PoolKey(typ)), Structure: v.structures.get(typ),
			Providers: make([]poolkeeper.Provider, len(order)),
		}
		const few = 500 // for as long as that takes ops wait
		for i := 0; i < len(order); i += few {
			v.copy(typ, p.Providers[i:], order[i:min(i+few, len(order))])
		}
		image.Pools[typ] = p
	}
	s.mu.Lock()
	s.view = nil
	s.mu.Unlock()

	for _, values := range v.values {
		values.collect(image.Values)
	}
	image.Renamed = make(map[poolkeeper.Ref]Alias, v.aliases.len())
	for ref, a := range v.aliases.all {
		image.Renamed[ref] = Alias{a.id, a.ends}
	}
	image.Revisions = v.revisions.collect(make(map[poolkeeper.Key]poolkeeper.Revision, v.revisions.len()))
	image.Structures = v.structures.collect(make(map[string]poolkeeper.Revision, v.structures.len()))
	return image
}

func (v *View) copy(typ string, to []poolkeeper.Provider, from []*provider) {
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	for i, p := range from {
		if kept, changed := v.kept[p]; changed {
			to[i] = kept
			continue
		}
		to[i] = p.view(typ)
		p.viewed = v.s.views // no one else looks at it while ops wait
	}
}

// keep keeps a provider that is about to change as it is for a view that does
// not have it yet.
func (s *Store) keep(typ string, p *provider) {
	if s.view != nil && p.viewed != s.views {
		p.viewed = s.views
		s.view.kept[p] = p.view(typ)
	}
}

// become gives a provider what another one has.
func (s *Store) become(typ string, p, next *provider) {
	s.keep(typ, p)
	next.viewed = p.viewed
	*p = *next
}

// keepOrder makes the order of a pool one that may be changed in place.
func (s *Store) keepOrder(pl *pool) {
	if s.view != nil {
		pl.order = slices.Clone(pl.order)
	}
}
