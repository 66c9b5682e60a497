package transfer

import (
	"errors"
	"slices"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A poolPlan is what an import does to one pool.
type poolPlan struct {
	dir     *poolkeeper.Pool
	replace *poolkeeper.Op  // nil where its definitions and order are right
	usage   []poolkeeper.Op // what the counters are behind

	added, changed, removed, kept []Change
	keptKeys                      []poolkeeper.Key
	unchanged                     int
}

func (p *poolPlan) ops() int {
	n := len(p.usage)
	if p.replace != nil {
		n += len(p.replace.Providers)
	}
	return n
}

func (im *importer) merge(p *poolPlan) {
	im.result.Added = append(im.result.Added, p.added...)
	im.result.Changed = append(im.result.Changed, p.changed...)
	im.result.Removed = append(im.result.Removed, p.removed...)
	im.result.Kept = append(im.result.Kept, p.kept...)
	im.result.Unchanged += p.unchanged
	for _, k := range p.keptKeys {
		im.kept[k] = true
	}
}

// findAliases asks the store for providers of the directory that were renamed
// in it.
func (im *importer) findAliases() error {
	var keys []poolkeeper.Key
	for _, t := range im.dir.Types {
		stored := im.store.Pools[t]
		if stored == nil {
			continue
		}
		there := make(map[string]bool, len(stored.Providers))
		for i := range stored.Providers {
			there[stored.Providers[i].ID] = true
		}
		for _, p := range im.dir.Pools[t].Providers {
			if !there[p.ID] {
				keys = append(keys, poolkeeper.ProviderKey(p.Ref))
			}
		}
	}
	for chunk := range slices.Chunk(keys, 1000) {
		snap, err := im.st.Backend().Load(im.ctx, chunk...)
		if err != nil {
			return err
		}
		for r, id := range snap.Aliases {
			if im.store.Aliases == nil {
				im.store.Aliases = map[poolkeeper.Ref]string{}
			}
			im.store.Aliases[r] = id
		}
	}
	return nil
}

// planPool plans one pool: the providers of the directory in their order, then
// those that are only in the store, unless they are to go.
func (im *importer) planPool(dir, stored *poolkeeper.Pool) *poolPlan {
	plan := &poolPlan{dir: dir}
	op := poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey(dir.Type), If: poolkeeper.IfAbsent}
	byID := map[string]*poolkeeper.Provider{}
	var was []string
	if stored != nil {
		op.If = poolkeeper.If(stored.Structure.String())
		for i := range stored.Providers {
			byID[stored.Providers[i].ID] = &stored.Providers[i]
			was = append(was, stored.Providers[i].ID)
		}
	} else {
		plan.added = append(plan.added, changeOf(op.Key, "", ""))
	}
	taken := map[string]bool{} // ids that have their place
	for i := range dir.Providers {
		taken[dir.Providers[i].ID] = true
	}
	replace := stored == nil
	for i := range dir.Providers {
		given := &dir.Providers[i]
		key := poolkeeper.ProviderKey(given.Ref)
		old := byID[given.ID]
		if old == nil && !im.opts.Force {
			// It has a new id in the store: that is its newer name.
			if id, ok := im.store.Aliases[given.Ref]; ok && byID[id] != nil {
				plan.keep(key, "it was renamed to "+show.Clip(show.Name(id))+" in the store, and stays as it is there")
				plan.keptKeys = append(plan.keptKeys, poolkeeper.ProviderKey(byID[id].Ref))
				if !taken[id] {
					taken[id] = true
					op.Providers = append(op.Providers, poolkeeper.ProviderRecord{ID: id, Definition: byID[id].Definition})
				}
				continue
			}
		}
		record := poolkeeper.ProviderRecord{ID: given.ID, Definition: given.Definition}
		if old == nil {
			plan.added = append(plan.added, changeOf(key, "", ""))
			replace = true
		} else if !im.planProvider(plan, given, old, &record) {
			record.Definition = old.Definition
		} else {
			replace = true
		}
		op.Providers = append(op.Providers, record)
	}
	for _, id := range was {
		switch {
		case taken[id]:
		case im.opts.Mirror:
			plan.removed = append(plan.removed, changeOf(poolkeeper.ProviderKey(byID[id].Ref), "", ""))
			replace = true
		default:
			op.Providers = append(op.Providers, poolkeeper.ProviderRecord{ID: id, Definition: byID[id].Definition})
		}
	}
	if im.from != nil && im.from.Unordered {
		at := make(map[string]int, len(was))
		for i, id := range was {
			at[id] = i
		}
		inOrder(op.Providers, at, func(r poolkeeper.ProviderRecord) string { return r.ID })
	}
	if !replace && !slices.EqualFunc(op.Providers, was, func(r poolkeeper.ProviderRecord, id string) bool { return r.ID == id }) {
		plan.changed = append(plan.changed, changeOf(op.Key, "", "order"))
		replace = true
	}
	if replace {
		plan.replace = &op
	}
	return plan
}

func (p *poolPlan) keep(k poolkeeper.Key, why string) {
	p.kept = append(p.kept, changeOf(k, "", why))
	p.keptKeys = append(p.keptKeys, k)
}

// same reports whether two plans of a pool do the same things.
func (p *poolPlan) same(other *poolPlan) bool {
	return slices.Equal(p.added, other.added) && slices.Equal(p.changed, other.changed) && slices.Equal(p.removed, other.removed)
}

// applyPool applies the plan of a pool, and plans it again where somebody
// changed the pool since it was read. What was announced is what is done: a plan
// that now does something else is not carried out.
func (im *importer) applyPool(p *poolPlan) error {
	const tries = 5
	for n := 1; p.replace != nil; n++ {
		r := im.st.Apply(im.ctx, *p.replace)[0]
		if r.Err == nil {
			im.progress(len(p.replace.Providers))
			break
		}
		if !errors.Is(r.Err, poolkeeper.ErrConflict) || n == tries {
			return im.failed(p.replace, r.Err)
		}
		snap, err := im.st.Backend().Load(im.ctx, p.replace.Key)
		if err != nil {
			return err
		}
		again := im.planPool(p.dir, snap.Pools[p.dir.Type])
		if !again.same(p) {
			return im.failed(p.replace, poolkeeper.Errorf(poolkeeper.ErrConflict, "somebody changed the pool since the import was planned").
				WithHint("run the import again, for a new plan"))
		}
		p = again
	}
	return im.apply(p.usage)
}
