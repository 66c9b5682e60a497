package replica

import (
	"context"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// An alias is where an id that the copy does not have leads.
type alias struct {
	to        string              // empty: nowhere,
	structure poolkeeper.Revision // as of that structure of the pool
	until     time.Time
}

// aliasFor is how long it is not asked again where an id leads.
const aliasFor = time.Minute

// find finds a provider, under an old id too. The copy knows of the renames that
// it was told; of others the source is asked, once for each id, and while it is
// away nobody can say whether there was one.
func (r *Replica) find(ctx context.Context, ref poolkeeper.Ref) (*poolkeeper.PoolView, *poolkeeper.ProviderView, error) {
	f := (*r.pools.Load())[ref.Type]
	if f != nil {
		r.pay(ctx, f)
	}
	pool := r.view.Load().Pool(ref.Type)
	if pool == nil {
		return nil, nil, nil
	}
	if p := pool.Provider(ref.ID); p != nil || f == nil { // a pool that waits for the store has no old ids
		return pool, p, nil
	}
	if p, known := f.led(pool, ref.ID, r.opts.Now()); known {
		return pool, p, nil
	}
	id, err := r.askAlias(ctx, f, pool, ref)
	if pool = r.view.Load().Pool(ref.Type); pool == nil || id == "" || err != nil {
		return nil, nil, err
	}
	return pool, pool.Provider(id), nil
}

// led follows an old id, as far as that is known.
func (f *followed) led(pool *poolkeeper.PoolView, id string, now time.Time) (p *poolkeeper.ProviderView, known bool) {
	for range 1000 { // renames make no circle, but this is no place to rely on it
		v, ok := f.aliases.Load(id)
		if !ok {
			return nil, false
		}
		a := v.(alias)
		if !now.Before(a.until) {
			return nil, false
		}
		if a.to == "" {
			return nil, a.structure == pool.Structure()
		}
		if p := pool.Provider(a.to); p != nil {
			return p, true
		}
		id = a.to
	}
	return nil, false
}

// askAlias asks the source which provider has an id, or had it; none is empty.
// What the source has is in the copy when it returns.
func (r *Replica) askAlias(ctx context.Context, f *followed, pool *poolkeeper.PoolView, ref poolkeeper.Ref) (id string, err error) {
	r.mu.Lock()
	up, deleted := r.up, f.view != nil && f.view.Provider(ref.ID) != nil // by what waits
	r.mu.Unlock()
	if deleted {
		return "", nil
	}
	if !up {
		return "", poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the copy has no provider of this id, and the store cannot be asked whether it was renamed").
			WithHint("use the present id, or wait until the store is back")
	}
	snap, err := r.source.Load(ctx, poolkeeper.ProviderKey(ref))
	if err != nil {
		return "", err
	}
	if p := snap.Provider(ref); p != nil {
		id = p.ID
		r.await(ctx, f, snap.Pools[ref.Type].Revision.Number)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.view != nil && f.view.Structure() == pool.Structure() && id != ref.ID { // else it may be otherwise by now
		r.learn(f, ref.ID, alias{to: id, structure: pool.Structure(), until: r.opts.Now().Add(aliasFor)})
	}
	return id, nil
}

// mostAliases bounds what is remembered of ids that the copy does not have.
const mostAliases = 10_000

func (r *Replica) learn(f *followed, id string, a alias) {
	if f.known.Add(1) > mostAliases {
		f.aliases.Clear()
		f.known.Store(1)
	}
	f.aliases.Store(id, a)
}

// renamed keeps what a change says of old ids.
func (r *Replica) renamed(f *followed, c *poolkeeper.Change) {
	switch c.Kind {
	case poolkeeper.ChangePut:
		f.aliases.Delete(c.ID)
	case poolkeeper.ChangeRename:
		f.aliases.Delete(c.NewID)
		r.learn(f, c.ID, alias{to: c.NewID, until: r.opts.Now().Add(poolkeeper.AliasLife * time.Millisecond)})
	}
}
