package transfer

import (
	"github.com/poolkeeper/poolkeeper"
)

// planRemovals plans, where the store is to mirror the directory, the removal
// of what only the store has: pools, and values. Of the values, what names
// another thing goes before it: the paths of a token before the token.
func (im *importer) planRemovals() (pools, values []poolkeeper.Op) {
	if !im.opts.Mirror {
		return nil, nil
	}
	im.spareUnread()
	for _, t := range im.store.Types {
		stored := im.store.Pools[t]
		if im.dir.Pools[t] != nil || stored == nil {
			continue
		}
		key := poolkeeper.PoolKey(t)
		for i := range stored.Providers {
			im.removed(poolkeeper.ProviderKey(stored.Providers[i].Ref), "")
		}
		im.removed(key, "")
		pools = append(pools, poolkeeper.Op{Kind: poolkeeper.OpDeletePool, Key: key, If: poolkeeper.If(stored.Structure.String())})
	}
	for _, kind := range []poolkeeper.KeyKind{
		poolkeeper.KindTokenRefs, poolkeeper.KindToken, poolkeeper.KindFile, poolkeeper.KindDocument,
		poolkeeper.KindSession, poolkeeper.KindConfig, poolkeeper.KindPassword,
	} {
		for _, k := range im.store.KeysOf(kind) {
			if im.used[k] {
				continue
			}
			d := im.store.Values[k]
			op := poolkeeper.Op{Kind: poolkeeper.OpDelete, Key: k, If: poolkeeper.If(d.ETag())}
			if kind == poolkeeper.KindSession {
				op.If = poolkeeper.Always // it may end by itself meanwhile
			}
			im.removed(k, "")
			values = append(values, op)
		}
	}
	return pools, values
}

// spareUnread keeps the tokens of files outside that providers of the directory
// name, and that were not read: nobody knows that they are gone.
func (im *importer) spareUnread() {
	if im.opts.AllowExternal {
		return
	}
	for _, t := range im.dir.Types {
		for i := range im.dir.Pools[t].Providers {
			for _, p := range poolkeeper.TokenPaths(im.dir.Pools[t].Providers[i].Definition) {
				ref := poolkeeper.TokenRefKey(p.Path)
				owner, ok := im.storedOwner(p.Path)
				if !p.Outside || !ok || im.used[ref] {
					continue
				}
				im.used[ref], im.used[poolkeeper.TokenKey(owner)] = true, true
				im.keep(poolkeeper.TokenKey(owner), p.Path, "its file lies outside and was not read: the stored token stays")
			}
		}
	}
}
