package filestore

import (
	"github.com/poolkeeper/poolkeeper"
)

// pair finds which provider of the file is which of those that were there. The
// other program began with the file of the last checkpoint, or with that of one
// that was cut off: with the one of which most is left in its file. ids are those
// that the providers of the file have there, partner which of base they are.
func (p *poolMerger) pair(base, given []poolkeeper.Provider, mine map[string]*poolkeeper.Provider) (ids map[int]string, partner map[int]int) {
	origins := [][]poolkeeper.Provider{base}
	if p.start != nil {
		for _, alt := range p.start.alts {
			if pool := alt.Pools[p.typ]; pool != nil {
				origins = append(origins, pool.Providers)
			}
		}
	}
	most := 0
	for i, origin := range origins {
		a := newAlignment(origin, given, len(origins) > 1, func(id string) string { return p.present(id, mine) })
		if a.run(); i == 0 || a.score > most {
			ids, most = a.ids(), a.score
		}
	}
	places := make(map[string]int, 2*len(base))
	for b := range base {
		places[p.present(base[b].ID, mine)] = b
	}
	for b := range base {
		places[base[b].ID] = b
	}
	partner = map[int]int{}
	for i, id := range ids {
		b, ok := places[id]
		if !ok {
			b, ok = places[p.present(id, mine)]
		}
		if ok {
			partner[i] = b
		}
	}
	return ids, partner
}

// An alignment finds the providers of one pool in another, which was made of it.
type alignment struct {
	origin, given       []poolkeeper.Provider
	oddOrigin, oddGiven []bool // their ids are not their own uuids
	present             func(id string) string
	scored              bool

	is    map[int]int // given → origin
	taken []bool      // of origin
	// score is how much of origin is left in given.
	score int
}

// A content is what a provider is, whatever its id; two of those that are equal in
// it are told apart by their order alone.
type content struct {
	definition string
	runtime    poolkeeper.Literals
}

func contentOf(p *poolkeeper.Provider) content {
	own := poolkeeper.LiteralsOf(p.Definition)
	return content{poolkeeper.DerivedID(p.Definition, 1), p.State.EffectiveAll(&own)}
}

func newAlignment(origin, given []poolkeeper.Provider, scored bool, present func(string) string) *alignment {
	a := &alignment{
		origin: origin, given: given, present: present, scored: scored,
		oddOrigin: make([]bool, len(origin)), oddGiven: make([]bool, len(given)),
		is: map[int]int{}, taken: make([]bool, len(origin)),
	}
	// Which of those with one uuid has it as its id, is a matter of their order.
	shared := map[string]bool{}
	for i := range origin {
		if uuid, ok := poolkeeper.UsableUUID(origin[i].Definition); !ok || uuid != origin[i].ID {
			a.oddOrigin[i] = true
			shared[uuid] = ok
		}
	}
	for i := range origin {
		a.oddOrigin[i] = a.oddOrigin[i] || shared[origin[i].ID]
	}
	for i := range given {
		uuid, ok := poolkeeper.UsableUUID(given[i].Definition)
		a.oddGiven[i] = !ok || uuid != given[i].ID || shared[uuid]
	}
	return a
}

func (a *alignment) match(given, origin, score int) {
	a.is[given], a.taken[origin] = origin, true
	a.score += score
}

// run pairs those that have a uuid by it, which they may have been given since; of
// the others those of one content, at the same place where there are several; then
// those of one definition, in their order; and then what is left, in its order, if
// that is as many.
func (a *alignment) run() {
	byID := make(map[string]int, 2*len(a.origin))
	for k := range a.origin {
		byID[a.present(a.origin[k].ID)] = k
	}
	for k := range a.origin {
		if !a.oddOrigin[k] {
			byID[a.origin[k].ID] = k
		}
	}
	for i := range a.given {
		k, ok := byID[a.given[i].ID]
		if a.oddGiven[i] || !ok || a.taken[k] {
			continue
		}
		score := 1
		if a.scored && contentOf(&a.given[i]) == contentOf(&a.origin[k]) {
			score = 2
		}
		a.match(i, k, score)
	}
	if len(a.given) == len(a.origin) {
		for i := range a.given {
			if a.oddGiven[i] && a.oddOrigin[i] && !a.taken[i] && contentOf(&a.given[i]) == contentOf(&a.origin[i]) {
				a.match(i, i, 2)
			}
		}
	}
	a.alike(2, contentOf)
	a.alike(1, func(p *poolkeeper.Provider) content {
		return content{definition: poolkeeper.DerivedID(p.Definition, 1)}
	})
	var was, is []int
	for k := range a.origin {
		if !a.taken[k] {
			a.score--
			if a.oddOrigin[k] {
				was = append(was, k)
			}
		}
	}
	for i := range a.given {
		if _, ok := a.is[i]; !ok && a.oddGiven[i] {
			is = append(is, i)
		}
	}
	if len(was) == len(is) {
		for n := range is {
			a.match(is[n], was[n], 1)
		}
	}
}

// alike pairs the odd ones that are equal in something, in their order.
func (a *alignment) alike(score int, of func(*poolkeeper.Provider) content) {
	places := map[content][]int{}
	for k := range a.origin {
		if a.oddOrigin[k] && !a.taken[k] {
			c := of(&a.origin[k])
			places[c] = append(places[c], k)
		}
	}
	for i := range a.given {
		if _, ok := a.is[i]; ok || !a.oddGiven[i] || len(places) == 0 {
			continue
		}
		if c := of(&a.given[i]); len(places[c]) > 0 {
			a.match(i, places[c][0], score)
			places[c] = places[c][1:]
		}
	}
}

// ids are those that the providers of given have in origin.
func (a *alignment) ids() map[int]string {
	ids := make(map[int]string, len(a.is))
	for i, k := range a.is {
		ids[i] = a.origin[k].ID
	}
	return ids
}
