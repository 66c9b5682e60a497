package filestore

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
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
	texts := make([][]byte, len(base))
	known := map[string]bool{} // ids of ours that they could know
	for i := range base {
		text, err := base[i].JSON()
		if err != nil {
			return err
		}
		texts[i] = text
		matches[i] = match{base: &base[i], was: text, ours: mine[p.present(base[i].ID, mine)]}
		if matches[i].ours != nil {
			known[matches[i].ours.ID] = true
		}
	}
	now := make([]string, len(base)) // the ids that they have here
	for i := range matches {
		if matches[i].ours != nil {
			now[i] = matches[i].ours.ID
		}
	}
	partner := pair(base, texts, now, given)
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
		} else if o := mine[given[i].ID]; o != nil && !known[o.ID] {
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

// pair finds which provider of the file is which of those that were there, by
// uuid, also by the one that it was given here since, as a checkpoint that was
// cut off may have written that; by their content where they have none; and
// those that have neither in common in their order, if they are as many.
func pair(base []poolkeeper.Provider, texts [][]byte, now []string, given []poolkeeper.Provider) map[int]int {
	ids, _ := poolkeeper.AssignIDs(texts)
	byID := map[string]int{}
	for i, id := range now {
		if id != "" {
			byID[id] = i
		}
	}
	for i := range base {
		byID[base[i].ID] = i
	}
	for i, id := range ids { // which of two has the better claim
		byID[id] = i
	}
	partner, taken := map[int]int{}, map[int]bool{}
	for i := range given {
		if b, ok := byID[given[i].ID]; ok && !taken[b] {
			partner[i], taken[b] = b, true
		}
	}
	var restB, restG []int
	for b := range base {
		if !taken[b] && ids[b][0] == '~' {
			restB = append(restB, b)
		}
	}
	for i := range given {
		if _, ok := partner[i]; !ok && given[i].ID[0] == '~' {
			restG = append(restG, i)
		}
	}
	if len(restB) == len(restG) {
		for k := range restG {
			partner[restG[k]] = restB[k]
		}
	}
	return partner
}

// provider merges one provider of the file. ok is false where it is to be left
// out. taken says which ids are in use.
func (p *poolMerger) provider(one *match, taken func(string) bool) (r poolkeeper.ProviderRecord, ok bool) {
	switch {
	case one.ours == nil && one.base == nil:
		r = poolkeeper.ProviderRecord{ID: one.theirs.ID, Definition: one.given}
		for n := 2; taken(r.ID); n++ { // a derived one
			r.ID = poolkeeper.DerivedID(one.given, n)
		}
		return r, true
	case one.ours == nil:
		if _, differ := configdir.DiffDefinitions(one.was, one.given); !differ {
			return r, false // removed here, and as it was there
		}
		p.note("provider %s was changed by another program, and removed here: it is kept as it was changed", show.Clip(one.base.String()))
		return poolkeeper.ProviderRecord{ID: one.base.ID, Definition: one.given}, true
	}
	r = poolkeeper.ProviderRecord{ID: one.ours.ID, Definition: p.definition(one)}
	p.runtime(one, &r)
	return r, true
}

// definition merges the definitions of a provider that is ours, too.
func (p *poolMerger) definition(one *match) []byte {
	now := one.ours.Definition
	was := one.was
	if one.base == nil { // both sides have added it
		if _, differ := configdir.DiffDefinitions(now, one.given); !differ {
			return now
		}
		p.note("provider %s was added by another program and here: the definition of the file counts", show.Clip(one.ours.String()))
		return one.given
	}
	if _, differ := configdir.DiffDefinitions(was, one.given); !differ {
		return now
	}
	if bytes.Equal(now, one.base.Definition) {
		return one.given
	}
	befores := [][]byte{bare(was)}
	for _, alt := range p.altsOf(one) {
		befores = append(befores, bare(alt))
	}
	merged, lost, ok := mergeObjects(befores, bare(one.given), now)
	if !ok {
		p.note("provider %s was changed by another program and here: the definition of the file counts, ours is gone", show.Clip(one.ours.String()))
		return one.given
	}
	if len(lost) > 0 {
		p.note("provider %s was changed by another program and here in the same fields: those of the file count, ours of %s are gone", show.Clip(one.ours.String()), fieldList(lost))
	}
	return merged
}

// altsOf returns a provider as checkpoints that were cut off have it.
func (p *poolMerger) altsOf(one *match) (texts [][]byte) {
	if p.start == nil {
		return nil
	}
	for _, alt := range p.start.alts {
		pool := alt.Pools[p.typ]
		if pool == nil {
			continue
		}
		a := pool.Provider(one.ours.ID)
		if a == nil { // it was renamed since
			a = pool.Provider(one.theirs.ID)
		}
		if a == nil && one.base != nil {
			a = pool.Provider(one.base.ID)
		}
		if a != nil {
			if text, err := a.JSON(); err == nil {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// bare is a definition without its runtime fields.
func bare(definition []byte) []byte {
	var edits []rawjson.Edit
	for _, f := range poolkeeper.Fields() {
		edits = append(edits, rawjson.Edit{Key: f.String()})
	}
	out, err := rawjson.SetMany(definition, edits)
	if err != nil {
		return definition
	}
	return out
}

// runtime merges the runtime state. While the store is open it is ours.
func (p *poolMerger) runtime(one *match, r *poolkeeper.ProviderRecord) {
	given := poolkeeper.LiteralsOf(one.given)
	ownDef := poolkeeper.LiteralsOf(one.ours.Definition)
	ours := one.ours.State.EffectiveAll(&ownDef)
	was := ours
	if one.base != nil {
		was = poolkeeper.LiteralsOf(one.was)
	}
	before := []poolkeeper.Literals{was}
	for _, alt := range p.altsOf(one) {
		before = append(before, poolkeeper.LiteralsOf(alt))
	}
	want := ours
	for _, f := range poolkeeper.Fields() {
		if slices.ContainsFunc(before, func(l poolkeeper.Literals) bool { return sameLiteral(given[f], l[f]) }) {
			continue
		}
		if p.start == nil {
			if !sameLiteral(given[f], ours[f]) {
				p.ignored[f.String()] = true
			}
			continue
		}
		want[f] = mergeLiteral(f, before, given[f], ours[f])
		if f == poolkeeper.UsageCount && len(before) > 1 {
			p.note("the usageCount of provider %s was changed by another program after a checkpoint was cut off: %s is what it counts as, and may be off by what was counted between the two",
				show.Clip(one.ours.String()), want[f])
		}
	}
	next := poolkeeper.LiteralsOf(r.Definition)
	state := one.ours.State.Carry(&ownDef, &next)
	for _, f := range poolkeeper.Fields() {
		if state.Effective(f, &next) != want[f] {
			state.Set(f, want[f])
		}
	}
	if p.start != nil && want != ours {
		r.State = &state
	}
}

// mergeLiteral merges a runtime field that another program has changed while the
// store was closed. What was counted here comes on top of what the file has; of
// two times of use the later counts; a decision that was taken here stays.
func mergeLiteral(f poolkeeper.Field, before []poolkeeper.Literals, given, ours string) string {
	was := before[0][f]
	switch {
	case f == poolkeeper.UsageCount:
		from := poolkeeper.Int(was)
		// The file may have been written by a checkpoint that was cut off.
		for _, l := range before[1:] {
			if n := poolkeeper.Int(l[f]); poolkeeper.Int(given) >= n {
				from = max(from, n)
			}
		}
		more := poolkeeper.Int(ours) - from
		switch {
		case more == 0:
			return given
		case more < 0: // it was reset here
			return ours
		}
		return strconv.FormatInt(poolkeeper.AddCount(poolkeeper.Int(given), more), 10)
	case sameLiteral(ours, was):
		return given
	case f == poolkeeper.LastUsed && poolkeeper.IsCanonicalTime(given) && given > ours:
		return given
	}
	return ours
}

func sameLiteral(a, b string) bool {
	return a == b || a != "" && b != "" && rawjson.EqualTokens([]byte(a), []byte(b))
}

// removed notes what goes with a provider that another program removed.
func (p *poolMerger) removed(one *match) {
	text, err := one.ours.JSON()
	if err != nil {
		return
	}
	_, edited := configdir.DiffDefinitions(one.was, text)
	var counted string
	if before := poolkeeper.LiteralsOf(one.was); before != poolkeeper.LiteralsOf(text) {
		counted = strconv.FormatInt(one.ours.Count(poolkeeper.UsageCount)-poolkeeper.Int(before[poolkeeper.UsageCount]), 10)
	}
	switch {
	case edited:
		p.note("provider %s was removed by another program, and was changed here: it is removed", show.Clip(one.ours.String()))
	case counted != "":
		p.note("provider %s was removed by another program: what was counted here since then is gone with it (%s uses)", show.Clip(one.ours.String()), counted)
	}
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
