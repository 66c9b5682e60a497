package memstore

import (
	"context"
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// everything is what Load reads where no key is named.
var everything = []poolkeeper.Key{
	poolkeeper.MetaKey, poolkeeper.PoolsKey, poolkeeper.ConfigKey, poolkeeper.PasswordKey,
	{Kind: poolkeeper.KindToken}, {Kind: poolkeeper.KindTokenRefs}, {Kind: poolkeeper.KindDocument},
	{Kind: poolkeeper.KindSession}, {Kind: poolkeeper.KindFile},
}

// Load reads all keys at one moment. The pools and maps of the snapshot are the
// caller's.
func (s *Store) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		keys = everything
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	metaOnly := !slices.ContainsFunc(keys, func(k poolkeeper.Key) bool { return k != poolkeeper.MetaKey })
	if err := s.usable(); err != nil && (s.closed || !metaOnly) {
		return nil, poolkeeper.Annotate(err, "load", "store")
	}
	r := reading{s: s, snap: poolkeeper.NewSnapshot()}
	for _, key := range keys {
		if err := r.read(key); err != nil {
			return nil, poolkeeper.Annotate(err, "load", key.String())
		}
	}
	return r.snap, nil
}

// A reading is one Load under way.
type reading struct {
	s    *Store
	snap *poolkeeper.Snapshot
	// whole :: types whose pool is in the snapshot with all its providers
	whole map[string]bool
}

func (r *reading) read(key poolkeeper.Key) error {
	switch {
	case key.Kind == poolkeeper.KindMeta:
		maps.Copy(r.snap.Meta, r.s.meta)
	case key.Kind == poolkeeper.KindTypes:
		r.snap.Types = slices.Clone(r.s.types)
	case key.Kind == poolkeeper.KindPools:
		r.snap.Types = slices.Clone(r.s.types)
		for _, typ := range r.s.types {
			r.pool(typ)
		}
	case key.Kind == poolkeeper.KindPool:
		r.pool(key.Type)
	case key.Kind == poolkeeper.KindProvider:
		r.provider(poolkeeper.Ref{Type: key.Type, ID: key.Name})
	case !key.IsValue():
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "there is no kind of key %q", string(key.Kind))
	case key.Name == "" && key.Kind != poolkeeper.KindConfig && key.Kind != poolkeeper.KindPassword:
		r.kind(key.Kind)
	default:
		if d, ok := r.s.value(key, r.s.millis); ok {
			r.snap.Values[key] = d
		}
	}
	return nil
}

func (r *reading) pool(typ string) {
	pl := r.s.pools[typ]
	if pl == nil || r.whole[typ] {
		return
	}
	out := r.emptyPool(typ)
	out.Providers = make([]poolkeeper.Provider, len(pl.order))
	for i, p := range pl.order {
		out.Providers[i] = p.view(typ)
	}
	r.snap.Pools[typ] = out
	if r.whole == nil {
		r.whole = map[string]bool{}
	}
	r.whole[typ] = true
}

func (r *reading) emptyPool(typ string) *poolkeeper.Pool {
	return &poolkeeper.Pool{Type: typ, Revision: r.s.revisions.get(poolkeeper.PoolKey(typ)), Structure: r.s.structures.get(typ)}
}

func (r *reading) provider(ref poolkeeper.Ref) {
	p := r.s.find(ref, r.s.millis)
	if p == nil {
		return
	}
	if p.id != ref.ID {
		r.snap.Aliases[ref] = p.id
	}
	if r.whole[ref.Type] {
		return
	}
	out := r.snap.Pools[ref.Type]
	if out == nil {
		out = r.emptyPool(ref.Type)
		r.snap.Pools[ref.Type] = out
	}
	if out.Provider(p.id) == nil {
		out.Providers = append(out.Providers, p.view(ref.Type))
	}
}

func (r *reading) kind(kind poolkeeper.KeyKind) {
	for key, d := range r.s.values[kind].all {
		if !expired(d, r.s.millis) {
			r.snap.Values[key] = d
		}
	}
}

func (p *provider) view(typ string) poolkeeper.Provider {
	return poolkeeper.Provider{Ref: poolkeeper.Ref{Type: typ, ID: p.id}, Definition: p.definition, State: p.state}
}
