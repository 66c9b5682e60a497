package filestore

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
)

// typeOrder takes the order of the types from the file where that has changed.
func (m *merger) typeOrder(present []string) {
	if sameOrder(m.base.image.Types, m.theirs.snap.Types) {
		return
	}
	var order []string
	for _, typ := range append(slices.Clone(m.theirs.snap.Types), present...) {
		if slices.Contains(present, typ) && !slices.Contains(order, typ) {
			order = append(order, typ)
		}
	}
	if !slices.Equal(order, present) {
		m.ops = append(m.ops, poolkeeper.Op{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, Order: order})
	}
}

// sameOrder reports whether what two lists have in common stands in one order.
func sameOrder(a, b []string) bool {
	at := make(map[string]int, len(b))
	for i, s := range b {
		at[s] = i + 1
	}
	last := 0
	for _, s := range a {
		if i := at[s]; i > 0 {
			if i < last {
				return false
			}
			last = i
		}
	}
	return true
}

// positions numbers the providers that were there, and those that still are, in
// the order of the file.
func (p *poolMerger) positions(base, given []poolkeeper.Provider, partner map[int]int) (was, is []string) {
	for i := range base {
		was = append(was, strconv.Itoa(i))
	}
	for i := range given {
		if b, ok := partner[i]; ok {
			is = append(is, strconv.Itoa(b))
		}
	}
	return was, is
}

// arrange puts the providers in order: that of the file where it has changed
// that, else ours, with what was added beside its neighbour in the file.
func (p *poolMerger) arrange(inOrder bool, ours []poolkeeper.Provider, mine map[string]*poolkeeper.Provider, order []string, added, known map[string]bool, records map[string]poolkeeper.ProviderRecord) {
	var list []string
	if inOrder {
		for i := range ours {
			if records[ours[i].ID].ID != "" || !known[ours[i].ID] {
				list = append(list, ours[i].ID)
			}
		}
		for i, id := range order {
			if !added[id] {
				continue
			}
			at := 0
			if i > 0 {
				at = slices.Index(list, order[i-1]) + 1
			}
			list = slices.Insert(list, at, id)
		}
	} else {
		list = order
		for i := range ours {
			if !known[ours[i].ID] && records[ours[i].ID].ID == "" {
				list = append(list, ours[i].ID)
			}
		}
	}
	p.changed = p.ours.Pools[p.typ] == nil || len(list) != len(ours)
	for i, id := range list {
		r, merged := records[id]
		now := mine[id]
		if !merged {
			r = poolkeeper.ProviderRecord{ID: id, Definition: now.Definition}
		}
		p.changed = p.changed || ours[i].ID != id || r.State != nil || !bytes.Equal(now.Definition, r.Definition)
		p.records = append(p.records, r)
	}
}
