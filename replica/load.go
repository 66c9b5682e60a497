package replica

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

// Load implements poolkeeper.Backend, from the copy, see [Replica]. Where files
// are named, or nothing is, it needs the source: ErrUnavailable while that is away.
func (r *Replica) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.closed.Load() {
		return nil, &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	if r.view.Load() == nil {
		return r.source.Load(ctx, keys...)
	}
	if poolkeeper.ReadsCurrent(ctx) {
		return r.loadCurrent(ctx, keys)
	}
	r.layOver()
	if len(keys) == 0 {
		keys = everything
	}
	read := reading{r: r, ctx: ctx, snap: poolkeeper.NewSnapshot()}
	for _, key := range keys {
		if err := read.one(key); err != nil {
			return nil, poolkeeper.Annotate(err, "load", key.String())
		}
	}
	return read.snap, read.files()
}

// loadCurrent reads from the source. Whoever reads from the copy after that waits
// until it has the pools that were read.
func (r *Replica) loadCurrent(ctx context.Context, keys []poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	snap, err := r.source.Load(ctx, keys...)
	if err != nil {
		return nil, err
	}
	all := *r.pools.Load()
	for typ, p := range snap.Pools {
		if f := all[typ]; f != nil {
			f.owe(p.Revision.Number)
		}
	}
	return snap, nil
}

// A reading is one Load under way.
type reading struct {
	r     *Replica
	ctx   context.Context
	snap  *poolkeeper.Snapshot
	whole map[string]bool  // types whose pool is in the snapshot with all its providers
	away  []poolkeeper.Key // what the copy does not have
}

func (rd *reading) one(key poolkeeper.Key) error {
	switch {
	case key.Kind == poolkeeper.KindMeta:
		return rd.meta()
	case key.Kind == poolkeeper.KindTypes:
		rd.snap.Types = slices.Clone(rd.r.view.Load().Types())
	case key.Kind == poolkeeper.KindPools:
		rd.snap.Types = slices.Clone(rd.r.view.Load().Types())
		for _, typ := range rd.snap.Types {
			rd.pool(typ)
		}
		// One that went meanwhile is in none of the two.
		rd.snap.Types = slices.DeleteFunc(rd.snap.Types, func(t string) bool { return rd.snap.Pools[t] == nil })
	case key.Kind == poolkeeper.KindPool:
		rd.pool(key.Type)
	case key.Kind == poolkeeper.KindProvider:
		return rd.provider(poolkeeper.Ref{Type: key.Type, ID: key.Name})
	case key.Kind == poolkeeper.KindFile:
		rd.away = append(rd.away, key)
	case !key.IsValue():
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "nothing can be loaded under a key of kind %q", string(key.Kind))
	case isKind(key):
		now := rd.r.opts.Now()
		rd.r.eachValue(key.Kind, func(key poolkeeper.Key, d *poolkeeper.Document) {
			if !expired(d, now) {
				rd.snap.Values[key] = *d
			}
		})
	default:
		if d, ok := rd.r.value(key); ok && !expired(d, rd.r.opts.Now()) {
			rd.snap.Values[key] = *d
		}
	}
	return nil
}

// meta reads the facts about the store, which nothing tells of: from the store
// as long as it is there.
func (rd *reading) meta() error {
	rd.r.mu.Lock()
	up := rd.r.up
	rd.r.mu.Unlock()
	if up {
		snap, err := rd.r.source.Load(rd.ctx, poolkeeper.MetaKey)
		if err == nil {
			rd.r.meta.Store(&snap.Meta)
		} else if !isOutage(err) {
			return err
		}
	}
	maps.Copy(rd.snap.Meta, *rd.r.meta.Load())
	return nil
}

// pool copies a pool as it was at one moment.
func (rd *reading) pool(typ string) {
	if rd.whole[typ] {
		return
	}
	pool := rd.r.copyPool(rd.ctx, typ)
	if pool == nil {
		return
	}
	rd.snap.Pools[typ] = pool
	if rd.whole == nil {
		rd.whole = map[string]bool{}
	}
	rd.whole[typ] = true
}

// copyPool takes the lock only where changes keep coming while it copies.
func (r *Replica) copyPool(ctx context.Context, typ string) *poolkeeper.Pool {
	if f := (*r.pools.Load())[typ]; f != nil {
		r.pay(ctx, f)
	}
	for range 3 {
		v := r.view.Load().Pool(typ)
		if v == nil {
			return nil
		}
		if pool, steady := v.Pool(); steady && r.view.Load().Pool(typ) == v {
			return pool
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.view.Load().Pool(typ); v != nil {
		pool, _ := v.Pool()
		return pool
	}
	return nil
}

func (rd *reading) provider(ref poolkeeper.Ref) error {
	pool, p, err := rd.r.find(rd.ctx, ref)
	if p == nil || err != nil {
		return err
	}
	if p.ID() != ref.ID {
		rd.snap.Aliases[ref] = p.ID()
	}
	if rd.whole[ref.Type] {
		return nil
	}
	out := rd.snap.Pools[ref.Type]
	if out == nil {
		// The revision is read first: the provider is that of it, or a newer one.
		out = &poolkeeper.Pool{Type: ref.Type, Revision: pool.Revision(), Structure: pool.Structure()}
		rd.snap.Pools[ref.Type] = out
	}
	if out.Provider(p.ID()) == nil {
		out.Providers = append(out.Providers, p.Provider())
	}
	return nil
}

// files reads what the copy does not have.
func (rd *reading) files() error {
	if len(rd.away) == 0 {
		return nil
	}
	snap, err := rd.r.source.Load(rd.ctx, rd.away...)
	if err != nil {
		return err
	}
	maps.Copy(rd.snap.Values, snap.Values)
	return nil
}
