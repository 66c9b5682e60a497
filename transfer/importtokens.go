package transfer

import (
	"bytes"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A tokenGroup is a token of the directory with the paths that name it.
type tokenGroup struct {
	owner poolkeeper.Ref
	paths []string
	data  []byte

	// ref is what it is to be stored under; stored is the token that the store
	// has for the file, nil where it has none. from is what that is stored
	// under, where it is to move.
	ref    poolkeeper.Ref
	stored []byte
	from   *poolkeeper.Ref
	also   []poolkeeper.Ref // where the store has more of it under other paths
}

// path is the one that it is called by; a token of another store may have none.
func (g *tokenGroup) path() string {
	if len(g.paths) == 0 {
		return ""
	}
	return g.paths[0]
}

// planTokens plans the tokens. What makes a token the same one in directory
// and store is its path: the store may keep it under another provider, where
// that was the first to name it, and then it stays there. Only where a
// provider names another file than before and somebody else names the former
// one, a stored token moves.
func (im *importer) planTokens(plan *valuePlan) {
	t := tokenPlanner{
		importer: im, plan: plan, groups: map[poolkeeper.Ref]*tokenGroup{},
		owner: map[string]poolkeeper.Ref{}, paths: map[poolkeeper.Ref][]string{}, inDir: map[string]bool{},
	}
	for _, k := range im.store.KeysOf(poolkeeper.KindTokenRefs) {
		if owner, err := poolkeeper.DecodeTokenOwner(im.store.Values[k].Data); err == nil {
			t.owner[k.Name] = owner
			t.paths[owner] = append(t.paths[owner], k.Name)
		}
	}
	groups := im.tokenGroups()
	for _, g := range groups {
		for _, p := range g.paths {
			t.inDir[p] = true
		}
	}
	var fresh []*tokenGroup
	for _, g := range groups {
		if !t.known(g) {
			fresh = append(fresh, g)
		}
	}
	for _, g := range fresh {
		t.settle(g)
	}
	for _, g := range groups {
		t.emit(g)
	}
}

// tokenGroups returns the tokens of the directory.
func (im *importer) tokenGroups() []*tokenGroup {
	paths := map[poolkeeper.Ref][]string{}
	for _, k := range im.dir.KeysOf(poolkeeper.KindTokenRefs) {
		if owner, err := poolkeeper.DecodeTokenOwner(im.dir.Values[k].Data); err == nil {
			paths[owner] = append(paths[owner], k.Name)
		}
	}
	var groups []*tokenGroup
	for _, k := range im.dir.KeysOf(poolkeeper.KindToken) {
		owner := poolkeeper.Ref{Type: k.Type, ID: k.Name}
		groups = append(groups, &tokenGroup{owner: owner, paths: paths[owner], data: im.dir.Values[k].Data})
	}
	return groups
}

// emit plans the ops of a token.
func (t *tokenPlanner) emit(g *tokenGroup) {
	key := poolkeeper.TokenKey(g.ref)
	data := g.data
	switch {
	case g.stored == nil:
		if _, there := t.store.Values[key]; there {
			t.changed(key, g.path(), "another file")
		} else {
			t.added(key, g.path(), "")
		}
	case !t.wins(key, g.path(), g.stored, g.data):
		data = g.stored
	}
	t.used[key] = true
	for _, o := range g.also {
		t.used[poolkeeper.TokenKey(o)] = true
	}
	ops, refs := &t.plan.data, &t.plan.refs
	paths := g.paths
	if g.from != nil {
		// What moves is copied before its former place is taken.
		ops, refs = &t.plan.moves, &t.plan.moveRefs
		for _, p := range t.paths[*g.from] {
			if !t.inDir[p] && !t.opts.Mirror {
				paths = append(paths[:len(paths):len(paths)], p)
			}
		}
		t.changed(key, g.path(), "moved, since "+show.Clip(g.from.String())+" names another file")
	}
	t.set(ops, key, data)
	for _, o := range g.also {
		if d, ok := t.store.Token(o); !ok || t.wins(poolkeeper.TokenKey(o), g.path(), d.Data, g.data) {
			t.set(&t.plan.data, poolkeeper.TokenKey(o), g.data)
		}
	}
	for _, p := range paths {
		t.used[poolkeeper.TokenRefKey(p)] = true
		o, ok := t.owner[p]
		if ok && (o == g.ref || t.groups[o] == g && g.from == nil) {
			continue
		}
		t.put(refs, poolkeeper.TokenRefKey(p), "", poolkeeper.Document{Data: poolkeeper.EncodeTokenOwner(g.ref)})
	}
}

// set plans that a token is stored under a key, on top of what was seen there.
func (t *tokenPlanner) set(ops *[]poolkeeper.Op, k poolkeeper.Key, data []byte) {
	op := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: k, Data: data, If: poolkeeper.IfAbsent}
	if d, there := t.store.Values[k]; there {
		if bytes.Equal(d.Data, data) {
			return
		}
		op.If = poolkeeper.If(d.ETag())
	}
	*ops = append(*ops, op)
}

// wins decides whether a token of the directory takes the place of a stored
// one. A token never goes back to an older generation: only one that expires
// later does, unless the directory is to win.
func (im *importer) wins(k poolkeeper.Key, path string, stored, given []byte) bool {
	if bytes.Equal(stored, given) {
		im.result.Unchanged++
		return false
	}
	if im.opts.Force {
		im.changed(k, path, "forced")
		return true
	}
	old, oldKnown := poolkeeper.TokenExpiry(stored)
	next, nextKnown := poolkeeper.TokenExpiry(given)
	switch {
	case !oldKnown || !nextKnown:
		im.keep(k, path, "the expiry of one of the two is not known: the stored token stays")
		return false
	case next <= old:
		im.keep(k, path, "the stored token does not expire earlier: it stays")
		return false
	}
	im.changed(k, path, "expires later than the stored one")
	return true
}

// storedOwner finds the owner of a token file in the store.
func (im *importer) storedOwner(path string) (poolkeeper.Ref, bool) {
	d, ok := im.store.Values[poolkeeper.TokenRefKey(path)]
	if !ok {
		return poolkeeper.Ref{}, false
	}
	r, err := poolkeeper.DecodeTokenOwner(d.Data)
	return r, err == nil
}
