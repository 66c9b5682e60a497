package poolkeeper

import (
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// NewPoolView makes a view of a pool. It keeps the bytes of the definitions.
func NewPoolView(p *Pool) *PoolView {
	v := &PoolView{typ: p.Type, structure: p.Structure, order: make([]*ProviderView, len(p.Providers)), at: momentOf(p.Revision)}
	v.index.base = make(map[string]*ProviderView, len(p.Providers))
	for i := range p.Providers {
		from := &p.Providers[i]
		one := newProviderView(Ref{p.Type, from.ID}, from.Definition, &from.State)
		v.order[i], v.index.base[from.ID] = one, one
	}
	return v
}

func momentOf(r Revision) *viewMoment {
	at := new(viewMoment)
	at.revision.Store(&r)
	return at
}

func newProviderView(ref Ref, definition []byte, state *State) *ProviderView {
	v := &ProviderView{ref: ref, definition: definition}
	defined, disabled := definedIn(definition)
	v.disabled = Truthy(disabled)
	v.runtime.Store(newViewState(state, &defined))
	return v
}

// definedIn reads from a definition what a view has of it at hand.
func definedIn(definition []byte) (fields [len(viewFields)]string, disabled string) {
	var names [len(viewFields) + 1]string
	for i, f := range viewFields {
		names[i] = f.String()
	}
	names[len(viewFields)] = "isDisabled"
	var raw [len(names)][]byte
	rawjson.GetMany(definition, names[:], raw[:])
	for i := range fields {
		fields[i] = string(raw[i])
	}
	return fields, string(raw[len(viewFields)])
}

// Continue applies the change that comes after the one that the view is at. Of
// runtime state it changes the view itself, as its readers see; of anything else
// it returns another one, and leaves this one as it is. ok is false, and nothing
// is changed, where the change does not fit or does not say enough: the pool is
// then to be read again. Calls of it must not overlap.
func (p *PoolView) Continue(c *Change) (next *PoolView, ok bool) {
	if c.Before != p.Revision() {
		return nil, false
	}
	switch c.Kind {
	case ChangeState:
		return p, p.continueState(c)
	case ChangePut:
		return p.continuePut(c)
	case ChangeRename:
		return p.continueRename(c)
	case ChangeDelete:
		return p.continueDelete(c)
	}
	return nil, false
}

func (p *PoolView) continueState(c *Change) bool {
	for i := range c.States {
		if p.Provider(c.States[i].ID) == nil {
			return false
		}
	}
	after := c.After // the change as a whole is not kept
	p.at.moves.Add(1)
	for i := range c.States {
		one := p.Provider(c.States[i].ID)
		was := one.runtime.Load()
		state := c.States[i].Over(was.state)
		if c.States[i].Whole { // what it does not have is the definition's again
			defined, _ := definedIn(one.definition)
			one.runtime.Store(newViewState(&state, &defined))
		} else {
			one.runtime.Store(was.with(&state))
		}
	}
	p.at.revision.Store(&after)
	p.at.moves.Add(1)
	return true
}

// stateAfter is the runtime state of a provider after a change of its definition.
func stateAfter(c *Change, old *ProviderView) State {
	var state State
	if old != nil {
		state = old.State()
	}
	for i := range c.States {
		if id := c.States[i].ID; id == c.ID || id == c.NewID {
			state = c.States[i].Over(state)
		}
	}
	return state
}

func (p *PoolView) continuePut(c *Change) (*PoolView, bool) {
	if c.Definition == nil {
		return nil, false
	}
	old := p.Provider(c.ID)
	state := stateAfter(c, old)
	one := newProviderView(Ref{p.typ, c.ID}, c.Definition, &state)
	if old == nil {
		// Only the last view of a pool is continued, so what lies behind its
		// order is nobody's yet.
		return p.restructured(c, append(p.order, one), p.index.with(one)), true
	}
	order := slices.Clone(p.order)
	order[slices.Index(order, old)] = one
	return p.restructured(c, order, p.index.with(one)), true
}

func (p *PoolView) continueRename(c *Change) (*PoolView, bool) {
	old := p.Provider(c.ID)
	if c.Definition == nil || old == nil || p.Provider(c.NewID) != nil {
		return nil, false
	}
	state := stateAfter(c, old)
	one := newProviderView(Ref{p.typ, c.NewID}, c.Definition, &state)
	order := slices.Clone(p.order)
	order[slices.Index(order, old)] = one
	return p.restructured(c, order, p.index.without(c.ID).with(one)), true
}

func (p *PoolView) continueDelete(c *Change) (*PoolView, bool) {
	old := p.Provider(c.ID)
	if old == nil {
		return nil, false
	}
	at := slices.Index(p.order, old)
	order := make([]*ProviderView, 0, len(p.order)-1)
	order = append(append(order, p.order[:at]...), p.order[at+1:]...)
	return p.restructured(c, order, p.index.without(c.ID)), true
}

func (p *PoolView) restructured(c *Change, order []*ProviderView, index viewIndex) *PoolView {
	return &PoolView{typ: p.typ, structure: c.After, order: order, index: index, at: momentOf(c.After)}
}

// A viewIndex finds providers by their ids. What changed last stands beside the
// map that it is made from, so that a change does not copy all of it.
type viewIndex struct {
	base map[string]*ProviderView
	over map[string]*ProviderView // nil: gone
}

func (x *viewIndex) get(id string) *ProviderView {
	if x.over != nil {
		if p, ok := x.over[id]; ok {
			return p
		}
	}
	return x.base[id]
}

func (x viewIndex) with(p *ProviderView) viewIndex { return x.set(p.ref.ID, p) }
func (x viewIndex) without(id string) viewIndex    { return x.set(id, nil) }

func (x viewIndex) set(id string, p *ProviderView) viewIndex {
	next := viewIndex{base: x.base, over: maps.Clone(x.over)}
	if next.over == nil {
		next.over = map[string]*ProviderView{}
	}
	next.over[id] = p
	if len(next.over) <= 16+len(x.base)/32 {
		return next
	}
	base := maps.Clone(x.base)
	for id, p := range next.over {
		if p == nil {
			delete(base, id)
		} else {
			base[id] = p
		}
	}
	return viewIndex{base: base}
}
