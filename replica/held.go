package replica

import (
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// errNotFollowing is for what would be asked of a copy that may be behind.
var errNotFollowing = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "changes are not told at the moment, so that the copy may be behind")

// waitToFollow is how long changes are not told before what the store lacks is taken
// to be so: new keys can be written then.
const waitToFollow = time.Minute

// Held is what the copy has under a key as the store gave it, with the epoch of that
// store, for the store to put back what it has lost: a pool, the order of the types, a
// value, or under a kind all values of it. Nil where it has nothing, or was not all
// loaded from that store yet; ErrUnavailable where changes are not told for the moment.
func (r *Replica) Held(key poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.epoch == "" || !r.copied:
		return nil, nil
	case !r.up && r.opts.Now().Sub(r.since) > waitToFollow:
		return nil, nil
	case !r.up:
		return nil, errNotFollowing
	}
	snap := poolkeeper.NewSnapshot()
	snap.Meta["epoch"] = r.epoch
	all := *r.pools.Load()
	switch {
	case key.Kind == poolkeeper.KindTypes:
		snap.Types = slices.DeleteFunc(slices.Clone(r.types), func(t string) bool { return all[t] == nil || all[t].view == nil })
	case key.Kind == poolkeeper.KindPool:
		f := all[key.Type]
		if f == nil || f.view == nil || f.view.Len() == 0 {
			return nil, nil
		}
		pool, _ := f.view.Pool()
		snap.AddPool(pool)
	case isKind(key):
		now := r.opts.Now()
		r.values.of(key.Kind).Range(func(k, d any) bool {
			if d := d.(*poolkeeper.Document); !expired(d, now) {
				snap.Values[k.(poolkeeper.Key)] = *d
			}
			return true
		})
	default:
		if d, ok := r.values.get(key); ok && !expired(d, r.opts.Now()) {
			snap.Values[key] = *d
		}
	}
	return snap, nil
}
