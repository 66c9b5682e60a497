package transfer

import (
	"github.com/poolkeeper/poolkeeper"
)

type tokenPlanner struct {
	*importer
	plan   *valuePlan
	owner  map[string]poolkeeper.Ref      // path → owner, in the store
	paths  map[poolkeeper.Ref][]string    // and back
	inDir  map[string]bool                // paths of tokens of the directory
	groups map[poolkeeper.Ref]*tokenGroup // what is to be stored under a ref
	namers map[string][]poolkeeper.Ref    // path → the providers that will name it
}

// claim says that a token is to be stored under a ref.
func (t *tokenPlanner) claim(r poolkeeper.Ref, g *tokenGroup) {
	t.groups[r] = g
	t.claimed[r] = true
}

// known leaves a token where the store has it by one of its paths.
func (t *tokenPlanner) known(g *tokenGroup) bool {
	found := false
	for _, p := range g.paths {
		o, ok := t.owner[p]
		if !ok || t.claimed[o] {
			continue
		}
		t.claim(o, g)
		if found {
			g.also = append(g.also, o)
			continue
		}
		found = true
		d, _ := t.store.Token(o)
		g.ref, g.stored = o, d.Data
	}
	return found
}

// settle finds a ref for a token that the store knows by none of its paths.
func (t *tokenPlanner) settle(g *tokenGroup) {
	g.ref = g.owner
	defer func() { t.claim(g.ref, g) }()
	if other := t.groups[g.owner]; other != nil {
		if r, ok := t.vacant(g.paths); ok {
			g.ref = r
		} else if !t.evict(other, map[*tokenGroup]bool{g: true}) {
			g.also = nil
			d, _ := t.store.Token(g.owner)
			g.stored = d.Data
		}
		return
	}
	d, there := t.store.Token(g.owner)
	if !there {
		return
	}
	// Its provider named another file before. Whoever else names that one gets
	// what is stored; else it is the token of the provider all the same.
	if r, ok := t.vacant(t.paths[g.owner]); ok && !t.opts.Mirror {
		from := g.owner
		moved := &tokenGroup{owner: r, ref: r, paths: t.paths[g.owner], data: d.Data, stored: d.Data, from: &from}
		t.claim(r, moved)
		t.emit(moved)
		return
	}
	g.stored = d.Data
}

// evict gives a token another ref than it is stored under, and those who are
// in the way of that one too.
func (t *tokenPlanner) evict(g *tokenGroup, seen map[*tokenGroup]bool) bool {
	if seen[g] {
		return false
	}
	seen[g] = true
	r, ok := t.vacant(g.paths)
	if !ok {
		for _, p := range g.paths {
			for _, n := range t.naming(p) {
				if other := t.groups[n]; !ok && n != g.ref && other != nil && other.ref == n && t.evict(other, seen) {
					r, ok = n, true
				}
			}
		}
	}
	if !ok {
		return false
	}
	if g.from == nil {
		from := g.ref
		g.from = &from
	}
	g.ref = r
	t.claim(r, g)
	return true
}

// vacant finds a provider that will name one of the paths, and under which
// nothing is to be stored, nor is anything stored that will still be named.
func (t *tokenPlanner) vacant(paths []string) (poolkeeper.Ref, bool) {
	for _, p := range paths {
	next:
		for _, r := range t.naming(p) {
			if t.claimed[r] {
				continue
			}
			if _, taken := t.store.Token(r); taken {
				for _, other := range t.paths[r] {
					if len(t.naming(other)) > 0 {
						continue next
					}
				}
			}
			return r, true
		}
	}
	return poolkeeper.Ref{}, false
}

// naming returns the providers that will name a path after the import.
func (t *tokenPlanner) naming(path string) []poolkeeper.Ref {
	if t.namers == nil {
		t.namers = map[string][]poolkeeper.Ref{}
		inDir := map[poolkeeper.Ref]bool{}
		snaps := []*poolkeeper.Snapshot{t.dir, t.store}
		if t.opts.Mirror {
			snaps = snaps[:1] // what only the store has will be gone
		}
		for _, snap := range snaps {
			for _, typ := range snap.Types {
				for i := range snap.Pools[typ].Providers {
					p := &snap.Pools[typ].Providers[i]
					if inDir[p.Ref] {
						continue // its definition will be that of the directory
					}
					inDir[p.Ref] = snap == t.dir
					if named := poolkeeper.TokenPaths(p.Definition); len(named) > 0 {
						t.namers[named[0].Path] = append(t.namers[named[0].Path], p.Ref)
					}
				}
			}
		}
	}
	return t.namers[path]
}
