package replica

import (
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// kept is a change that came while the pool was being loaded, or several of the
// runtime state, one upon the other.
type kept struct {
	poolkeeper.Change
	states map[string]poolkeeper.ProviderState // of several
}

// mostKept is how many changes of the structure are kept while a pool is loaded.
// Those of the runtime state are kept as one, however many come.
const mostKept = 10_000

// unchanged reports whether the view, with what was kept, is all there is up to
// a revision that was read after changes began to be told.
func (f *followed) unchanged(now poolkeeper.Revision) bool {
	if f.view == nil || f.spilled {
		return false
	}
	if len(f.kept) > 0 {
		return f.kept[0].Before == f.rev
	}
	return now == f.rev
}

// keep keeps a change until the pool is loaded.
func (f *followed) keep(c poolkeeper.Change) {
	if f.spilled {
		return
	}
	if n := len(f.kept); n > 0 && c.Kind == poolkeeper.ChangeState {
		if last := &f.kept[n-1]; last.Kind == poolkeeper.ChangeState && last.After == c.Before {
			last.fold(&c)
			return
		}
	}
	if len(f.kept) == mostKept {
		f.kept, f.spilled = nil, true
		return
	}
	f.kept = append(f.kept, kept{Change: c})
}

// fold makes one change of two that follow each other.
func (k *kept) fold(c *poolkeeper.Change) {
	if k.states == nil {
		k.states = map[string]poolkeeper.ProviderState{}
		for _, s := range k.States {
			k.states[s.ID] = s
		}
		k.States = nil
	}
	for _, s := range c.States {
		if was, ok := k.states[s.ID]; ok {
			s = poolkeeper.ProviderState{ID: s.ID, State: s.Over(was.State), Whole: s.Whole || was.Whole}
		}
		k.states[s.ID] = s
	}
	k.After = c.After
}

// continues reports whether what was kept leads from the view to a revision.
func (f *followed) continues(to poolkeeper.Revision) bool {
	at := f.rev
	for i := range f.kept {
		if f.kept[i].Before != at {
			return false
		}
		at = f.kept[i].After
	}
	return !f.spilled && len(f.kept) > 0 && at.Number >= to.Number
}

// change returns what is left of a kept change for a pool at a revision. Of
// several, all states are left: what is older than that revision is in it, and
// so is what came after it.
func (k *kept) change(at poolkeeper.Revision) poolkeeper.Change {
	c := k.Change
	if k.states != nil {
		c.States = slices.Collect(maps.Values(k.states))
		if c.Before.Number < at.Number {
			c.Before = at
		}
	}
	return c
}

// catchUp applies what was kept, as far as it continues the view. It returns
// false where there is a gap; what is not applied is then left.
func (r *Replica) catchUp(f *followed) bool {
	if f.spilled {
		return false
	}
	for i := range f.kept {
		c := f.kept[i].change(f.rev)
		if c.After.Number <= f.rev.Number {
			if c.After.Number == f.rev.Number && c.After != f.rev {
				return false
			}
			continue
		}
		if !r.apply(f, &c) {
			if c.Before != f.rev {
				r.counts.gaps.Add(1)
			}
			return false
		}
		r.tell(c)
	}
	f.kept = nil
	return true
}
