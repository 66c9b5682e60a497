package filestore

import (
	"bytes"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

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
		if a == nil && one.base != nil { // it was renamed since
			a = pool.Provider(one.base.ID)
		}
		if a == nil {
			a = pool.Provider(one.theirs.ID)
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
