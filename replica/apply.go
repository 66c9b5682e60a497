package replica

import (
	"context"
	"errors"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// Apply implements poolkeeper.Backend. Nothing is put into the copy by an answer:
// it comes from what the source tells, in the order of the source. So whoever
// edits waits until that has been told, and where it is not, it is loaded. For
// traffic it is the reader who waits, if it has to: there are many writes for each
// reader who comes so soon.
func (r *Replica) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	results := r.source.Apply(ctx, ops...)
	if !r.following.Load() { // reads ask the source
		return results
	}
	if len(ops) == 1 {
		if res := &results[0]; waits(res) {
			return results // whoever reads has it laid over the copy
		} else if res.Err == nil && ops[0].IsRuntime() {
			if f := (*r.pools.Load())[ops[0].Key.Type]; f != nil {
				f.owe(res.Revision.Number)
				return results
			}
		}
	}
	if slices.ContainsFunc(results, func(res poolkeeper.Result) bool { return waits(&res) }) {
		r.layOver()
	}
	r.settle(ctx, ops, results)
	return results
}

// settle makes the copy as new as the answers to some ops.
func (r *Replica) settle(ctx context.Context, ops []poolkeeper.Op, results []poolkeeper.Result) {
	pools := map[string]uint64{} // the revision that they have at the least
	gone := map[string]bool{}    // those edited, and whether the last edit has deleted them
	keys := map[poolkeeper.Key]uint64{}
	for i := range results {
		op, res := &ops[i], &results[i]
		pool := op.Key.Kind == poolkeeper.KindPool
		switch {
		case waits(res):
		case res.Err != nil && r.explains(op, res.Err), op.Key.Kind == poolkeeper.KindFile:
		case res.Err != nil && pool:
			r.compare(ctx, op)
		case pool:
			pools[op.Key.Type] = max(pools[op.Key.Type], res.Revision.Number)
			if !op.IsRuntime() {
				gone[op.Key.Type] = op.Kind == poolkeeper.OpDeletePool
			}
		case res.Err != nil, op.Kind == poolkeeper.OpDelete:
			keys[op.Key] = 0
		case !r.has(op.Key, res.Revision):
			keys[op.Key] = res.Revision.Number
		}
	}
	for typ, n := range pools {
		f := r.pool(typ)
		deleted, edited := gone[typ]
		if !edited {
			f.owe(n)
			continue
		}
		r.await(ctx, f, n)
		// The type is listed, or is not any more, by a change of its own.
		if v := r.view.Load(); v != nil && (v.Pool(typ) != nil) == deleted {
			r.reload(ctx, f, causeTold)
		}
	}
	if len(keys) == 0 {
		return
	}
	asks := make([]*ask, 0, len(keys))
	waits := make([]chan struct{}, 0, len(keys))
	r.mu.Lock()
	for key, n := range keys {
		a := r.want(key, n, nil)
		asks, waits = append(asks, a), append(waits, a.done)
	}
	r.mu.Unlock()
	for i := range asks {
		select {
		case <-waits[i]:
		case <-ctx.Done():
			return
		case <-r.ctx.Done():
			return
		}
	}
}

// explains reports whether an op was refused for what the copy has too, or for
// something that is not of what is there.
func (r *Replica) explains(op *poolkeeper.Op, err error) bool {
	there := func(id string) bool {
		v := r.view.Load()
		return v != nil && v.Provider(poolkeeper.Ref{Type: op.Key.Type, ID: id}) != nil
	}
	_, value := r.values.get(op.Key)
	pool := op.Key.Kind == poolkeeper.KindPool
	switch {
	case errors.Is(err, poolkeeper.ErrNotFound) && pool && op.ID == "":
		v := r.view.Load()
		return v != nil && v.Pool(op.Key.Type) == nil
	case errors.Is(err, poolkeeper.ErrNotFound):
		return pool && !there(op.ID) || op.Key.IsValue() && !value
	case errors.Is(err, poolkeeper.ErrExists):
		return there(op.ID) && op.NewID == "" || there(op.NewID)
	case errors.Is(err, poolkeeper.ErrConflict):
		return op.Key.Kind == poolkeeper.KindFile
	}
	return true
}

// compare makes the copy of an op's pool as new as the source is now.
func (r *Replica) compare(ctx context.Context, op *poolkeeper.Op) {
	f := r.pool(op.Key.Type)
	var keys []poolkeeper.Key // those of which any tells the revision of the pool
	if v := r.view.Load(); v != nil && v.Pool(f.typ) != nil && v.Pool(f.typ).Len() > 0 {
		keys = append(keys, poolkeeper.ProviderKey(v.Pool(f.typ).At(0).Ref()))
	}
	if op.ID != "" {
		keys = append(keys, poolkeeper.ProviderKey(op.Ref()))
	}
	if len(keys) > 0 {
		snap, err := r.source.Load(ctx, keys...)
		if err != nil {
			return
		}
		if p := snap.Pools[f.typ]; p != nil {
			r.await(ctx, f, p.Revision.Number)
			return
		}
	}
	r.reload(ctx, f, causeTold)
}

// pool is the pool of a type, which need not be there.
func (r *Replica) pool(typ string) *followed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.followed(typ)
}
