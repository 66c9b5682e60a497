package filestore

import (
	"slices"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

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
