package replica

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/poolkeeper/poolkeeper"
)

// A followed pool is one of which changes are told. But for what stands last it is
// guarded by the mutex of the Replica.
type followed struct {
	typ  string
	view *poolkeeper.PoolView // nil where there is no such pool
	rev  poolkeeper.Revision  // that of the view
	// heard is the number of the latest revision that was told, or answered.
	heard uint64

	// While it is loading, changes are kept, and nothing else is done with them.
	loading bool
	owned   bool // by a goroutine, the one with the token
	token   uint64
	again   bool // what is being loaded will not be enough
	listed  bool // where it is found to be missing, it is loaded once more
	kept    []kept
	spilled bool // some were not kept
	// tickets are closed when a load that began after they were drawn has ended.
	tickets []chan struct{}

	reached atomic.Uint64 // the number of the revision that readers see
	owed    atomic.Uint64 // that of one that they are to see
	waiting waiting
	aliases sync.Map     // old id → alias
	known   atomic.Int64 // at most so many of them
}

// followed returns the pool of a type, which need not be there.
func (r *Replica) followed(typ string) *followed {
	all := *r.pools.Load()
	if f := all[typ]; f != nil {
		return f
	}
	f := &followed{typ: typ}
	all = maps.Clone(all)
	all[typ] = f
	r.pools.Store(&all)
	if r.surveying {
		r.begin(f)
	}
	return f
}

func (r *Replica) poolChanged(f *followed, c poolkeeper.Change) {
	r.counts.changes.Add(1)
	f.heard = max(f.heard, c.After.Number)
	switch {
	case c.After.IsZero() && f.view != nil && f.view.Len() > 0 && !f.loading:
		probe := f.view.At(0).Ref()
		r.spawn(func() { r.suspect(f, probe) })
	case c.After.IsZero():
		r.load(f, causeTold)
	case f.loading:
		f.keep(c)
	case f.view != nil && c.After.Number <= f.rev.Number:
		if c.After.Number == f.rev.Number && c.After != f.rev {
			r.load(f, causeGap) // two histories
			return
		}
		r.counts.known.Add(1)
	case f.view != nil && c.Before == f.rev && r.apply(f, &c):
		r.tell(c)
	case f.view == nil || c.Before == f.rev:
		r.load(f, causeTold)
	default:
		r.counts.gaps.Add(1)
		r.load(f, causeGap)
	}
}

// apply applies the change that comes next. It returns false where the pool is
// to be loaded for it.
func (r *Replica) apply(f *followed, c *poolkeeper.Change) bool {
	next, ok := f.view.Continue(c)
	if !ok {
		return false
	}
	moved := next != f.view
	f.view, f.rev = next, c.After
	if moved {
		r.renamed(f, c)
		r.reshow()
	}
	f.reach(c.After.Number)
	return true
}

// begin begins to keep what comes for a pool. Nobody has it yet.
func (r *Replica) begin(f *followed) {
	if !f.loading {
		f.loading = true
		r.loading++
	}
	f.token++
	f.owned, f.again, f.spilled, f.kept = false, false, false, nil
}

// finish ends that.
func (r *Replica) finish(f *followed) {
	f.loading, f.owned, f.kept = false, false, nil
	r.loading--
	r.settled()
}

// load has a pool loaded, once more where it is being loaded.
func (r *Replica) load(f *followed, why cause) {
	if f.loading && f.owned {
		f.again = true
		return
	}
	r.begin(f)
	f.owned = true
	r.counts.reload(why)
	token := f.token
	r.spawn(func() { r.loadPool(f, token) })
}

// loadPool loads a pool, until what was loaded and what was told meanwhile are
// one.
func (r *Replica) loadPool(f *followed, token uint64) {
	for tries := 0; ; tries++ {
		again, err := r.loadOnce(f, token, tries > 0)
		if !again || err != nil && !r.sleep(backoff(tries, err)) {
			return
		}
	}
}

func (r *Replica) loadOnce(f *followed, token uint64, anew bool) (again bool, err error) {
	r.mu.Lock()
	if f.token != token || r.ctx.Err() != nil {
		r.mu.Unlock()
		return false, nil
	}
	// What is loaded now has everything that was heard of until now.
	f.again, f.listed = false, false
	if anew || f.spilled {
		f.spilled, f.kept = false, nil
	}
	floor, tickets := f.heard, f.tickets
	f.tickets = nil
	keys := []poolkeeper.Key{poolkeeper.PoolKey(f.typ)}
	if f.view == nil {
		keys = append(keys, poolkeeper.TypesKey) // for where it belongs
	}
	r.mu.Unlock()

	snap, err := r.source.Load(r.ctx, keys...)
	var view *poolkeeper.PoolView
	var types []string
	if err == nil {
		types = snap.Types
		if snap.Pools[f.typ] != nil {
			view = poolkeeper.NewPoolView(snap.Pools[f.typ])
		}
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if f.token != token || r.ctx.Err() != nil { // somebody else loads it
		f.tickets = append(f.tickets, tickets...)
		return false, nil
	}
	for _, t := range tickets {
		close(t)
	}
	if err != nil {
		r.failed(err)
		f.waiting.end()
		if !r.up { // all is compared again when changes are told again
			r.finish(f)
		}
		return r.up, err
	}
	if r.arrived(f, view, types, floor) || f.again {
		r.counts.reload(causeGap)
		return true, nil
	}
	r.finish(f)
	return false, nil
}

// place returns where among have a type belongs that comes where it does in order,
// which may have types that are not in have, and lack others.
func place(typ string, have, order []string) int {
	if i := slices.Index(order, typ); i >= 0 {
		for j, t := range have {
			if slices.Contains(order[i+1:], t) {
				return j
			}
		}
	}
	return len(have)
}

// reload has a pool loaded from now on, and waits for that.
func (r *Replica) reload(ctx context.Context, f *followed, why cause) {
	ticket := make(chan struct{})
	r.mu.Lock()
	f.tickets = append(f.tickets, ticket)
	r.load(f, why)
	r.mu.Unlock()
	select {
	case <-ticket:
	case <-ctx.Done():
	case <-r.ctx.Done():
	}
}

// arrived puts a pool that was loaded into the copy, with what was kept since; nil
// says that there is none. A new one takes its place among types, as they were loaded
// with it. floor is the revision that it has at the least. It returns true where the
// pool has to be loaded once more.
func (r *Replica) arrived(f *followed, view *poolkeeper.PoolView, types []string, floor uint64) (again bool) {
	before, was := f.rev, f.view
	switch {
	case view != nil && f.view != nil && view.Revision().Number < f.rev.Number && r.setBack(poolkeeper.PoolKey(f.typ)):
		return false
	case view != nil && f.view != nil && f.continues(view.Revision()):
		// It was told how the pool became what was loaded, and so is who watches.
		return !r.catchUp(f)
	case view != nil:
		if view.Revision().Number < f.rev.Number { // what readers were to see is gone
			f.heard, floor = 0, 0
			f.reached.Store(0)
			f.owed.Store(0)
		}
		f.view, f.rev = view, view.Revision()
		floor = max(floor, f.rev.Number)
		if !slices.Contains(r.types, f.typ) {
			r.types = slices.Insert(slices.Clone(r.types), place(f.typ, r.types, types), f.typ)
		}
	default:
		f.view, f.rev = nil, poolkeeper.Revision{}
		r.types = slices.DeleteFunc(slices.Clone(r.types), func(t string) bool { return t == f.typ })
	}
	delete(r.older, poolkeeper.PoolKey(f.typ))
	f.aliases.Clear()
	r.reshow()
	f.reach(floor)
	if came := (was == nil) != (view == nil); came || before != f.rev {
		r.tell(poolkeeper.Change{Kind: poolkeeper.ChangePool, Key: poolkeeper.PoolKey(f.typ), Before: before, After: f.rev})
		if came {
			r.tell(poolkeeper.Change{Kind: poolkeeper.ChangeTypes, Key: poolkeeper.TypesKey})
		}
	}
	if view == nil {
		return len(f.kept) > 0 || f.spilled || f.listed
	}
	return !r.catchUp(f)
}
