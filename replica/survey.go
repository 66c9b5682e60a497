package replica

import (
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// survey finds out which pools are not as the source has them, and loads those.
func (r *Replica) survey(turn uint64) {
	for tries := 0; ; tries++ {
		again, err := r.surveyOnce(turn)
		if !again || !r.sleep(backoff(tries, err)) {
			return
		}
	}
}

func (r *Replica) surveyOnce(turn uint64) (again bool, err error) {
	if err := r.succeeded(turn); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.turn != turn || r.ctx.Err() != nil {
			return false, r.ctx.Err()
		}
		r.failed(err)
		return true, err
	}
	r.mu.Lock()
	probe := r.probes()
	first := r.view.Load() == nil
	r.mu.Unlock()

	keys := make([]poolkeeper.Key, 0, len(probe))
	for key := range probe {
		keys = append(keys, key)
	}
	if first {
		keys = []poolkeeper.Key{poolkeeper.PoolsKey}
	}
	snap := poolkeeper.NewSnapshot()
	if len(keys) > 0 {
		snap, err = r.source.Load(r.ctx, keys...)
	}
	views := map[string]*poolkeeper.PoolView{}
	if first && err == nil {
		for typ, p := range snap.Pools {
			views[typ] = poolkeeper.NewPoolView(p)
		}
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.turn != turn || r.ctx.Err() != nil {
		return false, r.ctx.Err()
	}
	if err != nil {
		r.failed(err)
		return true, err
	}
	if first {
		for _, typ := range snap.Types {
			if !slices.Contains(r.types, typ) { // those may be newer
				r.types = slices.Insert(slices.Clone(r.types), place(typ, r.types, snap.Types), typ)
			}
		}
		for typ, v := range views {
			f := r.followed(typ)
			if !f.loading {
				r.begin(f)
			}
			r.counts.reload(causeStart)
			if r.arrived(f, v, snap.Types, 0) {
				r.load(f, causeGap)
			} else {
				r.finish(f)
			}
		}
	}
	for _, f := range *r.pools.Load() {
		switch p := snap.Pools[f.typ]; {
		case f.owned || !f.loading:
		case !first && p != nil && f.unchanged(p.Revision) && len(f.tickets) == 0:
			r.counts.unchanged.Add(1)
			if r.catchUp(f) {
				r.finish(f)
			} else {
				r.load(f, causeGap)
			}
		default:
			r.load(f, causeWatch)
		}
	}
	r.surveying = false
	r.settled()
	return false, nil
}

// probes are keys by whose reading the revision of a pool is known, without
// reading the pool: one provider of each that has any.
func (r *Replica) probes() map[poolkeeper.Key]*followed {
	keys := map[poolkeeper.Key]*followed{}
	for _, f := range *r.pools.Load() {
		if f.view != nil && f.view.Len() > 0 {
			keys[poolkeeper.ProviderKey(f.view.At(0).Ref())] = f
		}
	}
	return keys
}
