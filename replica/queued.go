package replica

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A Queuer is a Source that acknowledges ops before the store has them.
type Queuer interface {
	// Observe tells of each op that waits now, in the order of each key, and from
	// then on of each that is queued, with the number of the one that it was added
	// to where that waits already, and of each that waits no more. sent says that
	// the store may have executed it. The functions must not use the Source.
	Observe(queued func(op poolkeeper.QueuedOp, sent bool), settled func(poolkeeper.QueuedOp, poolkeeper.Result))
}

// Ops that wait are laid over the copy, by key: reads see the key as it was when the
// first of them was queued, with all of them applied, until the copy has them from
// the store. What others change of the key meanwhile is seen after that.
type overlays struct {
	mu     sync.Mutex
	news   []news
	counts map[poolkeeper.Ref]int // the increment among the news that the next one of a provider joins
	behind atomic.Int64           // news that are not laid over the copy yet
	poke   chan struct{}          // holds a token where there are some

	keys   map[poolkeeper.Key]*overlay // guarded by the mutex of the Replica
	values sync.Map                    // key → *poolkeeper.Document, nil where there is none, of those of values
	any    atomic.Bool                 // there are some of values
}

// news is that an op was queued, that it may have been executed from now on, or with
// a result that it waits no more.
type news struct {
	op      poolkeeper.QueuedOp
	sent    bool
	settled *poolkeeper.Result
}

// An overlay is one key with the ops that wait for it.
type overlay struct {
	key     poolkeeper.Key
	state   *memstore.Store
	changes []poolkeeper.Change // of the op under way
	view    *poolkeeper.PoolView
	waits   map[uint64]bool
	applied uint64 // the number of the revision that the store has the last of them in
}

// observe begins to lay over the copy what waits.
func (r *Replica) observe() {
	q, ok := r.source.(Queuer)
	if !ok {
		return
	}
	r.over.poke = make(chan struct{}, 1)
	r.over.counts = map[poolkeeper.Ref]int{}
	r.over.keys = map[poolkeeper.Key]*overlay{}
	q.Observe(r.over.queued, func(op poolkeeper.QueuedOp, res poolkeeper.Result) { r.over.add(news{op: op, settled: &res}) })
	r.work.Go(func() {
		for {
			select {
			case <-r.over.poke:
				r.layOver()
			case <-r.ctx.Done():
				return
			}
		}
	})
}

// queued is told of an op that was queued, or is about to be sent.
func (o *overlays) queued(op poolkeeper.QueuedOp, sent bool) { o.add(news{op: op, sent: sent}) }

func (o *overlays) add(n news) {
	o.mu.Lock()
	op := &n.op.Op
	ref := poolkeeper.Ref{Type: op.Key.Type, ID: op.ID}
	switch plain := n.settled == nil && !n.sent && op.Kind == poolkeeper.OpUsage && op.IdempotencyKey == ""; {
	case !plain:
		clear(o.counts)
	default:
		if i, ok := o.counts[ref]; ok && o.news[i].op.Entry == n.op.Entry {
			was := &o.news[i].op.Op
			was.N, was.At = was.N+op.N, max(was.At, op.At)
			o.mu.Unlock()
			return
		}
		o.counts[ref] = len(o.news)
	}
	o.news = append(o.news, n)
	o.behind.Add(1)
	o.mu.Unlock()
	select {
	case o.poke <- struct{}{}:
	default:
	}
}

// layOver lays over the copy what was queued before the call.
func (r *Replica) layOver() {
	if r.over.behind.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.layOverLocked()
}

func (r *Replica) layOverLocked() {
	if r.view.Load() == nil { // there is nothing to lay it over yet
		return
	}
	o := &r.over
	o.mu.Lock()
	all := o.news
	o.news = nil
	clear(o.counts)
	o.mu.Unlock()
	sent := map[uint64]bool{}
	for i := range all {
		if all[i].sent {
			sent[all[i].op.Entry] = true
		}
	}
	moved := false
	for i := range all {
		n := &all[i]
		if r.opts.Noticed != nil {
			r.opts.Noticed(n.op.Op.Key)
		}
		if n.settled == nil {
			if ov := o.keys[n.op.Op.Key]; n.sent && ov != nil && ov.waits[n.op.Entry] {
				continue // it was laid over what surely was without it
			}
			// Of one that may have been executed the copy may have the counts already:
			// they are shown when it is known.
			if sent[n.op.Entry] {
				if n.op.Op.Kind == poolkeeper.OpUsage {
					continue
				}
				n.op.Op.N = 0
			}
			moved = r.lay(&n.op) || moved
		} else if ov := o.keys[n.op.Op.Key]; ov != nil && ov.waits[n.op.Entry] {
			delete(ov.waits, n.op.Entry)
			ov.applied = max(ov.applied, n.settled.Revision.Number)
			if len(ov.waits) == 0 {
				r.spawn(func() { r.lift(ov) })
			}
		}
	}
	if moved {
		r.show()
	}
	o.behind.Add(-int64(len(all)))
}

// lay lays one op over the copy. It returns whether readers are to see another pool.
// What is refused here may be applied by the store all the same, and changes nothing
// until then.
func (r *Replica) lay(op *poolkeeper.QueuedOp) (moved bool) {
	ov := r.over.keys[op.Op.Key]
	fresh := ov == nil
	if fresh {
		if ov = r.newOverlay(op.Op.Key); ov == nil {
			return false
		}
		r.over.keys[op.Op.Key] = ov
	}
	ov.waits[op.Entry] = true
	one := op.Op
	if one.Key.Kind == poolkeeper.KindPool && ov.view != nil && ov.view.Provider(one.ID) == nil {
		if p, ok := r.followed(one.Key.Type).led(ov.view, one.ID, r.opts.Now()); ok && p != nil {
			one.ID = p.ID()
		}
	}
	ov.changes = ov.changes[:0]
	ov.state.Commit(&one, one.At, "queued", nil)
	if one.Key.Kind != poolkeeper.KindPool {
		r.over.show(ov)
		return false
	}
	before := ov.view
	for i := range ov.changes {
		if c := &ov.changes[i]; c.Key.Kind == poolkeeper.KindPool {
			ov.follow(c)
		}
	}
	return fresh || ov.view != before // a change of runtime state is in the view itself
}

// follow goes on with the view of the pool.
func (ov *overlay) follow(c *poolkeeper.Change) {
	if ov.view != nil {
		if next, ok := ov.view.Continue(c); ok {
			ov.view = next
			return
		}
	}
	snap, err := ov.state.Load(context.Background(), ov.key)
	if err == nil && snap.Pools[ov.key.Type] != nil {
		ov.view = poolkeeper.NewPoolView(snap.Pools[ov.key.Type])
	}
}

// newOverlay begins with a key as the copy has it.
func (r *Replica) newOverlay(key poolkeeper.Key) *overlay {
	ov := &overlay{key: key, waits: map[uint64]bool{}}
	snap := poolkeeper.NewSnapshot()
	if key.Kind != poolkeeper.KindPool {
		if d, ok := r.values.get(key); ok {
			snap.Values[key] = *d
		}
	} else if f := (*r.pools.Load())[key.Type]; f != nil && f.view != nil {
		pool, _ := f.view.Pool()
		snap.AddPool(pool)
	}
	ov.state = memstore.New(&memstore.Options{Now: r.opts.Now, Told: func(c poolkeeper.Change) { ov.changes = append(ov.changes, c) }})
	if err := ov.state.Restore(context.Background(), snap); err != nil {
		r.opts.Logger.Error("what is queued for a key cannot be shown before the store has it", "key", key.String(), "error", err)
		return nil
	}
	if p := snap.Pools[key.Type]; p != nil {
		ov.follow(&poolkeeper.Change{})
		// Counts change in the view itself: the copy goes on in another one, so that who
		// has this one still does not see more than who reads next.
		f := (*r.pools.Load())[key.Type]
		pool, _ := f.view.Pool()
		f.view = poolkeeper.NewPoolView(pool)
	}
	return ov
}

// show lets readers see a value with what waits for it.
func (o *overlays) show(ov *overlay) {
	snap, err := ov.state.Load(context.Background(), ov.key)
	if err != nil {
		return
	}
	var doc *poolkeeper.Document
	if d, ok := snap.Values[ov.key]; ok {
		doc = &d
	}
	o.values.Store(ov.key, doc)
	o.any.Store(true)
}

// lift takes an overlay away when the copy has all that was laid over it.
func (r *Replica) lift(ov *overlay) {
	for tries := 0; ; tries++ {
		r.catch(ov)
		r.mu.Lock()
		if r.ctx.Err() != nil || len(ov.waits) > 0 || r.over.keys[ov.key] != ov {
			r.mu.Unlock()
			return
		}
		if r.caught(ov) {
			delete(r.over.keys, ov.key)
			r.over.values.Delete(ov.key)
			if len(r.over.keys) == 0 {
				r.over.any.Store(false)
			}
			if ov.key.Kind == poolkeeper.KindPool {
				r.reshow()
			}
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		if !r.sleep(backoff(tries, errDeaf)) {
			return
		}
	}
}

var errDeaf = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "changes of the store are not heard for now")

// catch waits for the copy to have what the store has of a key.
func (r *Replica) catch(ov *overlay) {
	limit, cancel := context.WithTimeout(r.ctx, 3*patience)
	defer cancel()
	r.mu.Lock()
	if ov.key.Kind == poolkeeper.KindPool {
		f, applied := r.followed(ov.key.Type), ov.applied
		r.mu.Unlock()
		r.await(limit, f, applied)
		return
	}
	if !r.up {
		r.mu.Unlock()
		return
	}
	a := r.want(ov.key, ov.applied, nil)
	r.mu.Unlock()
	select {
	case <-a.done:
	case <-limit.Done():
	}
}

// caught reports whether the copy has it. The mutex is held.
func (r *Replica) caught(ov *overlay) bool {
	switch {
	case ov.applied == 0: // all of them were refused
		return true
	case ov.key.Kind == poolkeeper.KindPool:
		return r.followed(ov.key.Type).reached.Load() >= ov.applied
	}
	return r.up && !r.failing[ov.key] && r.asked[ov.key] == nil
}

// overlaid is the pool of a type as readers see it.
func (r *Replica) overlaid(typ string, base *poolkeeper.PoolView) *poolkeeper.PoolView {
	if len(r.over.keys) > 0 {
		if ov := r.over.keys[poolkeeper.PoolKey(typ)]; ov != nil && ov.view != nil {
			return ov.view
		}
	}
	return base
}

// value is a value as readers see it.
func (r *Replica) value(key poolkeeper.Key) (*poolkeeper.Document, bool) {
	if r.over.any.Load() {
		if d, ok := r.over.values.Load(key); ok {
			doc := d.(*poolkeeper.Document)
			return doc, doc != nil
		}
	}
	return r.values.get(key)
}

// eachValue calls fn for all values of a kind, as readers see them.
func (r *Replica) eachValue(kind poolkeeper.KeyKind, fn func(poolkeeper.Key, *poolkeeper.Document)) {
	over := map[poolkeeper.Key]bool{}
	if r.over.any.Load() {
		r.over.values.Range(func(k, d any) bool {
			if key := k.(poolkeeper.Key); key.Kind == kind {
				over[key] = true
				if doc := d.(*poolkeeper.Document); doc != nil {
					fn(key, doc)
				}
			}
			return true
		})
	}
	r.values.of(kind).Range(func(k, d any) bool {
		if key := k.(poolkeeper.Key); !over[key] {
			fn(key, d.(*poolkeeper.Document))
		}
		return true
	})
}

// waits reports whether a result says that its op is queued.
func waits(res *poolkeeper.Result) bool {
	return res.Err == nil && (res.Status == poolkeeper.Queued || res.Status == poolkeeper.Buffered)
}
