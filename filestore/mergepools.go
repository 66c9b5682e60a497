package filestore

import (
	"cmp"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// pools merges an edit of provider_pools.json.
func (m *merger) pools() error {
	given := m.theirs.snap
	present := slices.Clone(m.ours.Types)
	ignored := map[string]bool{}
	for _, typ := range given.Types {
		p := &poolMerger{merger: m, typ: typ, ignored: ignored}
		if err := p.run(); err != nil {
			return err
		}
		if p.changed {
			m.ops = append(m.ops, poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey(typ), Providers: p.records})
			if !slices.Contains(present, typ) {
				present = append(present, typ)
			}
		}
	}
	for _, typ := range m.base.image.Types {
		if given.Pools[typ] != nil || m.ours.Pools[typ] == nil {
			continue
		}
		p := &poolMerger{merger: m, typ: typ, ignored: ignored}
		if err := p.run(); err != nil {
			return err
		}
		if len(p.records) > 0 { // ours, that they did not know of
			m.ops = append(m.ops, poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey(typ), Providers: p.records})
			continue
		}
		m.ops = append(m.ops, poolkeeper.Op{Kind: poolkeeper.OpDeletePool, Key: poolkeeper.PoolKey(typ)})
		present = slices.DeleteFunc(present, func(t string) bool { return t == typ })
	}
	if len(ignored) > 0 {
		m.rewrite = true
		var names []string
		for _, f := range poolkeeper.Fields() {
			if ignored[f.String()] {
				names = append(names, f.String())
			}
		}
		m.note("runtime fields that another program wrote into provider_pools.json do not count while the store is open: %s", strings.Join(names, ", "))
	}
	m.typeOrder(present)
	return nil
}

// A poolMerger merges one pool.
type poolMerger struct {
	*merger
	typ     string
	ignored map[string]bool // names of runtime fields

	records []poolkeeper.ProviderRecord
	changed bool
}

// A match is a provider as the sides have it; what a side does not have is nil.
type match struct {
	base, theirs, ours *poolkeeper.Provider
	given              []byte // theirs, or what was there of base, as the file has it
	was                []byte // base as the file had it
}

func providersOf(p *poolkeeper.Pool) []poolkeeper.Provider {
	if p == nil {
		return nil
	}
	return p.Providers
}

func (p *poolMerger) run() error {
	base, given, ours := providersOf(p.merger.base.image.Pools[p.typ]), providersOf(p.theirs.snap.Pools[p.typ]), providersOf(p.ours.Pools[p.typ])
	mine := make(map[string]*poolkeeper.Provider, len(ours))
	for i := range ours {
		mine[ours[i].ID] = &ours[i]
	}
	matches := make([]match, len(base))
	known := map[string]bool{} // ids of ours that they could know
	for i := range base {
		text, err := base[i].JSON()
		if err != nil {
			return err
		}
		matches[i] = match{base: &base[i], was: text, ours: mine[p.present(base[i].ID, mine)]}
		if matches[i].ours != nil {
			known[matches[i].ours.ID] = true
		}
	}
	ids, partner := p.pair(base, given, mine)
	var order []string // ids in the order of the file
	added := map[string]bool{}
	records := map[string]poolkeeper.ProviderRecord{}
	left := map[int]bool{}
	for i := range given {
		one := match{theirs: &given[i], given: given[i].Definition}
		if b, ok := partner[i]; ok {
			one = matches[b]
			one.theirs, one.given = &given[i], given[i].Definition
			left[b] = true
		} else if o := mine[p.present(cmp.Or(ids[i], given[i].ID), mine)]; o != nil && !known[o.ID] {
			one.ours = o
		}
		r, ok := p.provider(&one, func(id string) bool { return mine[id] != nil || records[id].ID != "" })
		if !ok {
			continue
		}
		if one.ours == nil {
			added[r.ID] = true
		}
		records[r.ID] = r
		order = append(order, r.ID)
	}
	for b := range matches {
		if !left[b] && matches[b].ours != nil {
			p.removed(&matches[b])
		}
	}
	p.arrange(sameOrder(p.positions(base, given, partner)), ours, mine, order, added, known, records)
	return nil
}

// present finds the id that a provider has now, which may have been renamed.
func (p *poolMerger) present(id string, mine map[string]*poolkeeper.Provider) string {
	for range len(p.ours.Renamed) + 1 {
		a, renamed := p.ours.Renamed[poolkeeper.Ref{Type: p.typ, ID: id}]
		if mine[id] != nil || !renamed {
			break
		}
		id = a.ID
	}
	return id
}
