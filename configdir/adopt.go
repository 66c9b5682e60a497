package configdir

import (
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// AdoptIDs gives the providers of a directory the ids under which a store has
// them, in dir, the snapshot of the directory, and in report, which may be nil.
//
// An id that is no uuid is the store's own: no file holds it. A directory that is
// read derives one from the definition as it is there, and the store may have
// given its own when the definition was another, or have been given one. So a
// provider without a uuid of its own is that of the store whose definition is the
// same, runtime state aside; of equal ones, the first is the first. What is in the
// store with another definition only is another provider, unless it has the very
// id. With given, the ids of dir were not derived but are those of another store,
// and of equal providers those are the same that have the same id.
//
// opts are those of the comparison or import that is to come.
func AdoptIDs(dir, store *poolkeeper.Snapshot, report *Report, given bool, opts *CompareOptions) error {
	odd := false
	for _, t := range dir.Types {
		odd = odd || store.Pools[t] != nil && len(unnamed(store.Pools[t])) > 0
	}
	if !odd {
		return nil
	}
	if opts == nil {
		opts = &CompareOptions{}
	}
	// A definition may get the path of its token when it is written.
	l, err := layOut(store, prefixesOf(opts.Dir), clock(opts.Now), opts.AllowExternal, true)
	if err != nil {
		return err
	}
	ids := map[poolkeeper.Ref]string{}
	addressed := map[string][2]string{}
	for _, t := range dir.Types {
		if dir.Pools[t] == nil || l.pools[t] == nil {
			continue
		}
		a := adoption{dir: dir.Pools[t], store: l.pools[t], given: given}
		if a.run(); len(a.ids) == 0 {
			continue
		}
		own := *a.dir
		own.Providers = slices.Clone(own.Providers)
		for i, id := range a.ids {
			p := &own.Providers[i]
			ids[p.Ref] = id
			addressed[place(t, i, "uuid")] = [2]string{p.ID, id}
			p.ID = id
		}
		dir.Pools[t] = &own
	}
	readdress(dir, ids)
	if report != nil {
		report.readdress(addressed)
	}
	return nil
}

// unnamed returns the places of providers whose definitions do not hold their
// ids, and what usable uuids those have all the same.
func unnamed(pool *poolkeeper.Pool) map[int]string {
	var out map[int]string
	for i := range pool.Providers {
		uuid, ok := poolkeeper.UsableUUID(pool.Providers[i].Definition)
		if ok && uuid == pool.Providers[i].ID {
			continue
		}
		if out == nil {
			out = map[int]string{}
		}
		out[i] = uuid
	}
	return out
}

// An adoption finds the ids of one pool.
type adoption struct {
	dir, store *poolkeeper.Pool
	given      bool
	ids        map[int]string // by the place in the directory, where it is another one
}

func (a *adoption) run() {
	inStore, inDir := unnamed(a.store), unnamed(a.dir)
	if len(inStore) == 0 {
		return
	}
	// Which of those with one uuid has it as its id, is a matter of their order.
	shared := map[string]bool{}
	for _, uuid := range inStore {
		shared[uuid] = uuid != ""
	}
	same := map[string][]string{} // ids in the store, by what the definition derives
	for i := range a.store.Providers {
		p := &a.store.Providers[i]
		if _, ok := inStore[i]; ok || shared[p.ID] {
			derived := poolkeeper.DerivedID(p.Definition, 1)
			same[derived] = append(same[derived], p.ID)
		}
	}
	var open []int
	derived := map[int]string{}
	for i := range a.dir.Providers {
		p := &a.dir.Providers[i]
		if _, ok := inDir[i]; ok || shared[p.ID] {
			derived[i] = poolkeeper.DerivedID(p.Definition, 1)
			open = append(open, i)
		}
	}
	found := map[int]string{}
	if a.given {
		open = slices.DeleteFunc(open, func(i int) bool {
			id, list := a.dir.Providers[i].ID, same[derived[i]]
			k := slices.Index(list, id)
			if k < 0 {
				return false
			}
			found[i], same[derived[i]] = id, slices.Delete(list, k, k+1)
			return true
		})
	}
	for _, i := range open {
		if list := same[derived[i]]; len(list) > 0 {
			found[i], same[derived[i]] = list[0], list[1:]
		}
	}
	a.settle(found)
}

// settle keeps the ids of those that were not found. Where one of them is that of
// another provider now, the provider gets one that is derived from its definition
// all the same.
func (a *adoption) settle(found map[int]string) {
	a.ids = map[int]string{}
	used := make(map[string]bool, len(a.dir.Providers))
	for i, id := range found {
		used[id] = true
		if id != a.dir.Providers[i].ID {
			a.ids[i] = id
		}
	}
	var homeless []int
	for i := range a.dir.Providers {
		id := a.dir.Providers[i].ID
		if _, ok := found[i]; ok {
			continue
		}
		if used[id] {
			homeless = append(homeless, i)
		}
		used[id] = true
	}
	last := map[string]int{} // the ordinal given out last
	for _, i := range homeless {
		def := a.dir.Providers[i].Definition
		id := poolkeeper.DerivedID(def, 1)
		for first := id; used[id]; id = poolkeeper.DerivedID(def, last[first]) {
			last[first]++
		}
		used[id], a.ids[i] = true, id
	}
}

// readdress gives what a snapshot has for providers to their new ids.
func readdress(snap *poolkeeper.Snapshot, ids map[poolkeeper.Ref]string) {
	if len(ids) == 0 {
		return
	}
	moved := map[poolkeeper.Key]poolkeeper.Document{}
	for k, d := range snap.Values {
		switch k.Kind {
		case poolkeeper.KindToken:
			if id, ok := ids[poolkeeper.Ref{Type: k.Type, ID: k.Name}]; ok {
				moved[poolkeeper.TokenKey(poolkeeper.Ref{Type: k.Type, ID: id})] = d
				delete(snap.Values, k)
			}
		case poolkeeper.KindTokenRefs:
			owner, err := poolkeeper.DecodeTokenOwner(d.Data)
			if id, ok := ids[owner]; ok && err == nil {
				d.Data = poolkeeper.EncodeTokenOwner(poolkeeper.Ref{Type: owner.Type, ID: id})
				snap.Values[k] = d
			}
		}
	}
	for k, d := range moved {
		snap.Values[k] = d
	}
	for r, to := range snap.Aliases {
		if id, ok := ids[poolkeeper.Ref{Type: r.Type, ID: to}]; ok {
			snap.Aliases[r] = id
		}
	}
}

// readdress says in the notes about providers how they are addressed: by the
// place of the uuid, the id that was noted and the one that it is.
func (r *Report) readdress(ids map[string][2]string) {
	for k := range r.Warnings {
		n := &r.Warnings[k]
		if id, ok := ids[n.Where]; ok && (n.Code == CodeUUIDUnusable || n.Code == CodeUUIDDuplicate) {
			n.Text = strings.TrimSuffix(n.Text, id[0]) + show.Clip(show.Name(id[1]))
		}
	}
}
