package replica

import (
	"bytes"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// How long what was read of the store may take to be told: usually, and at most.
const (
	told  = 10 * time.Millisecond
	grace = time.Second
)

// checkNowAndThen compares the copy with the store: pools, types and the single
// values each time, and one kind of the others in turn.
func (r *Replica) checkNowAndThen() {
	tick := time.NewTicker(r.opts.CheckEvery)
	defer tick.Stop()
	kinds := []poolkeeper.KeyKind{poolkeeper.KindToken, poolkeeper.KindTokenRefs, poolkeeper.KindDocument, poolkeeper.KindSession}
	for n := 0; ; n++ {
		select {
		case <-tick.C:
			r.check(kinds[n%len(kinds)])
		case <-r.ctx.Done():
			return
		}
	}
}

// check compares once. What is found to be different is loaded; that the store
// cannot be read for now is no finding.
func (r *Replica) check(kind poolkeeper.KeyKind) {
	r.mu.Lock()
	if r.view.Load() == nil || !r.up {
		r.mu.Unlock()
		return
	}
	probes := r.probes()
	before := make(map[*followed]poolkeeper.Revision, len(probes))
	keys := []poolkeeper.Key{poolkeeper.ConfigKey, poolkeeper.PasswordKey, {Kind: kind}}
	for key, f := range probes {
		before[f] = f.rev
		keys = append(keys, key)
	}
	for _, f := range *r.pools.Load() { // those without a provider cost nothing to be loaded
		if f.view != nil && f.view.Len() == 0 {
			before[f] = f.rev
			keys = append(keys, poolkeeper.PoolKey(f.typ))
		}
	}
	r.ask(poolkeeper.TypesKey, nil)
	r.mu.Unlock()
	snap, err := r.source.Load(r.ctx, keys...)
	if err != nil {
		return
	}
	values := r.differing(snap, kind)
	ahead := false
	for f := range before {
		p := snap.Pools[f.typ]
		ahead = ahead || p == nil || f.reached.Load() < p.Revision.Number
	}
	if (ahead || len(values) > 0) && !r.sleep(grace) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.up {
		return
	}
	for f, was := range before {
		if now := snap.Pools[f.typ]; !f.loading && f.view != nil && r.hidden(f, was, now) {
			r.opts.Logger.Warn("a pool of the copy was not as in the store, and is loaded", "pool", f.typ)
			r.load(f, causeCheck)
		}
	}
	for key, was := range values {
		if d, _ := r.values.get(key); d == was && r.asked[key] == nil {
			r.counts.reload(causeCheck)
			r.want(key, 0, nil)
		}
	}
}

// suspect compares one pool, of which something may have been missed, by a
// provider in it.
func (r *Replica) suspect(f *followed, probe poolkeeper.Ref) {
	r.mu.Lock()
	was := f.rev
	r.mu.Unlock()
	snap, err := r.source.Load(r.ctx, poolkeeper.ProviderKey(probe))
	if !r.sleep(told) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.up && !f.loading && f.view != nil && (err != nil || r.hidden(f, was, snap.Pools[f.typ])) {
		r.load(f, causeTold)
	}
}

// hidden reports whether the store has a revision of a pool that no change told
// of. now was read after was.
func (r *Replica) hidden(f *followed, was poolkeeper.Revision, now *poolkeeper.Pool) bool {
	switch {
	case now == nil: // a provider that was there, or a pool, is gone
		return f.rev == was
	case now.Revision.Number < was.Number:
		r.counts.older.Add(1)
		return false
	}
	return f.rev.Number < now.Revision.Number || f.rev.Number == now.Revision.Number && f.rev != now.Revision
}

// differing are the values that are not in the copy as they were read, with what
// the copy has.
func (r *Replica) differing(snap *poolkeeper.Snapshot, kind poolkeeper.KeyKind) map[poolkeeper.Key]*poolkeeper.Document {
	found := map[poolkeeper.Key]*poolkeeper.Document{}
	for key, d := range snap.Values {
		have, ok := r.values.get(key)
		switch {
		case !ok:
			found[key] = nil
		case have.Revision == d.Revision || have.Revision.Number > d.Revision.Number:
		case kind == poolkeeper.KindTokenRefs && bytes.Equal(have.Data, d.Data): // whose revision is that of all
		default:
			found[key] = have
		}
	}
	now := r.opts.Now()
	missing := func(key poolkeeper.Key, have *poolkeeper.Document) {
		if _, ok := snap.Values[key]; !ok && !expired(have, now) {
			found[key] = have
		}
	}
	r.values.of(kind).Range(func(k, d any) bool {
		missing(k.(poolkeeper.Key), d.(*poolkeeper.Document))
		return true
	})
	for _, key := range []poolkeeper.Key{poolkeeper.ConfigKey, poolkeeper.PasswordKey} {
		if have, ok := r.values.get(key); ok {
			missing(key, have)
		}
	}
	return found
}
