package replica

import (
	"context"
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// begun makes the copy that of a snapshot, until the source can be heard. What the
// source has told already stays.
func (r *Replica) begun(snap *poolkeeper.Snapshot) {
	for _, typ := range snap.Types {
		if p := snap.Pools[typ]; p != nil {
			base := *p
			// Its revisions are of no store that could be continued.
			base.Revision, base.Structure = poolkeeper.Revision{}, poolkeeper.Revision{}
			if f := r.followed(typ); f.view == nil {
				f.view = poolkeeper.NewPoolView(&base)
			}
			if !slices.Contains(r.types, typ) {
				r.types = append(r.types, typ)
			}
		}
	}
	for key, d := range snap.Values {
		if key.Kind != poolkeeper.KindFile {
			d.Revision = poolkeeper.Revision{}
			r.values.of(key.Kind).LoadOrStore(key, &d)
		}
	}
	meta := maps.Clone(snap.Meta)
	r.meta.Store(&meta)
	r.epoch = meta["epoch"]
	r.following.Store(true)
	r.show()
	r.layOverLocked()
}

// stands reports whether the copy is to be the Standby, as the source went away
// before one of it was made. Then that is on its way, and wakes those who wait.
func (r *Replica) stands(err error) bool {
	if r.opts.Standby == nil || r.stood || r.view.Load() != nil || !isOutage(err) || r.up && !r.surveying {
		return false
	}
	if !r.standing {
		r.standing = true
		r.spawn(r.stand)
	}
	return true
}

func (r *Replica) stand() {
	snap := r.opts.Standby()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.standing = false
	switch {
	case r.view.Load() != nil: // the source was faster
		return
	case r.up && !r.surveying: // or is about to be
	default:
		r.stood = true
		if snap != nil && (r.epoch == "" || snap.Meta["epoch"] == "" || snap.Meta["epoch"] == r.epoch) {
			r.begun(snap)
		}
	}
	r.attempted()
}

// succeeded looks whether the source is the store that the copy is of. Where another
// one was put in its place, revisions of the copy say nothing of it: then everything
// is loaded.
func (r *Replica) succeeded(turn uint64) error {
	snap, err := r.source.Load(r.ctx, poolkeeper.MetaKey)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.turn != turn {
		return nil
	}
	epoch := snap.Meta["epoch"]
	if epoch == "" && r.epoch != "" { // it was emptied since it was heard, and no other one is there
		return poolkeeper.Errorf(poolkeeper.ErrLost, "the store is empty, and was not when the copy was made")
	}
	r.meta.Store(&snap.Meta)
	if was := r.epoch; was != epoch {
		r.epoch, r.copied = epoch, false
		if was != "" {
			r.opts.Logger.Warn("another store was put in the place of the one that the copy is of: everything is loaded")
		}
		for _, f := range *r.pools.Load() {
			f.rev, f.heard = poolkeeper.Revision{}, 0
			f.reached.Store(0)
			f.owed.Store(0)
		}
		r.values.forget()
		clear(r.older)
		for _, ov := range r.over.keys { // what it is loaded with now has all that was applied until now
			ov.applied = min(ov.applied, 1)
		}
	}
	for _, key := range everyValue {
		if key != poolkeeper.MetaKey {
			r.owed[key] = true
			r.ask(key, nil)
		}
	}
	if r.opts.Noticed != nil { // what changed before was not told
		r.opts.Noticed(poolkeeper.Key{Kind: poolkeeper.KindFile})
	}
	return nil
}

// Shown is a snapshot of the copy as readers see it, without the carried files. Nil
// where that is the Base.
func (r *Replica) Shown(ctx context.Context) (*poolkeeper.Snapshot, error) {
	r.layOver()
	r.mu.Lock()
	none := len(r.over.keys) == 0 || r.view.Load() == nil
	r.mu.Unlock()
	if none {
		return nil, nil
	}
	return r.Load(ctx, append([]poolkeeper.Key{poolkeeper.PoolsKey}, everyValue...)...)
}

// forget makes all values ones that anything is newer than.
func (v *values) forget() {
	for _, m := range v.all() {
		m.Range(func(k, d any) bool {
			doc := *d.(*poolkeeper.Document)
			doc.Revision = poolkeeper.Revision{}
			m.Store(k, &doc)
			return true
		})
	}
}

// Base is a snapshot of the copy as the store gave it: without what waits for the
// store, and without the carried files, which it does not have. Nil as long as
// there is no copy of a store.
func (r *Replica) Base() *poolkeeper.Snapshot {
	if r.view.Load() == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch == "" { // of a directory
		return nil
	}
	snap := poolkeeper.NewSnapshot()
	maps.Copy(snap.Meta, *r.meta.Load())
	all := *r.pools.Load()
	for _, typ := range slices.Clone(r.types) {
		if f := all[typ]; f != nil && f.view != nil {
			pool, _ := f.view.Pool()
			snap.AddPool(pool)
		}
	}
	now := r.opts.Now()
	for _, m := range r.values.all() {
		m.Range(func(k, d any) bool {
			if d := d.(*poolkeeper.Document); !expired(d, now) {
				snap.Values[k.(poolkeeper.Key)] = *d
			}
			return true
		})
	}
	return snap
}
