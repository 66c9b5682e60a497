package poolkeeper

import (
	"context"
	"sync/atomic"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A Viewer is a [Backend] that reads from a copy of the store, which it keeps
// up to date. What another instance writes is read a little later; what is
// written through the Viewer is read by Load once the write was answered. In the
// context of [ReadCurrent] Load asks the store.
type Viewer interface {
	// View returns the pools of the copy, or nil as long as there is none. It
	// takes no lock and waits for nothing: what traffic has changed through the
	// Viewer is in it a moment after the write was answered.
	View() *View
}

// View returns the pools for reading many times a second: look-ups in it take
// no lock and allocate nothing. Take one for each decision, and do not keep it.
//
// Where the backend is a [Viewer] the view is its copy, and costs nothing;
// otherwise all pools are read for it. It knows no old ids of renamed providers.
func (s *Store) View(ctx context.Context) (*View, error) {
	if viewer, ok := s.b.(Viewer); ok && !ReadsCurrent(ctx) {
		if v := viewer.View(); v != nil {
			return v, nil
		}
	}
	snap, err := s.b.Load(ctx, PoolsKey)
	if err != nil {
		return nil, Annotate(err, "read", "pools")
	}
	pools := make(map[string]*PoolView, len(snap.Pools))
	for typ, p := range snap.Pools {
		pools[typ] = NewPoolView(p)
	}
	return NewView(snap.Types, pools), nil
}

// A View is the pools as an instance knows them. Which types, providers and
// definitions are in it never changes; the runtime state of a provider moves on
// as long as its definition is the one in the View.
type View struct {
	types []string
	pools map[string]*PoolView
}

// NewView returns a View of these pools in the order of types, of which each
// has one. It keeps both.
func NewView(types []string, pools map[string]*PoolView) *View {
	return &View{types: types, pools: pools}
}

// Types returns the types in their order. They must not be changed.
func (v *View) Types() []string { return v.types }

// Pool returns the pool of a type, or nil.
func (v *View) Pool(typ string) *PoolView { return v.pools[typ] }

// Provider returns a provider, or nil.
func (v *View) Provider(r Ref) *ProviderView {
	if p := v.pools[r.Type]; p != nil {
		return p.Provider(r.ID)
	}
	return nil
}

// A PoolView is one pool in a [View].
type PoolView struct {
	typ       string
	structure Revision
	order     []*ProviderView
	index     viewIndex
	at        *viewMoment
}

// A viewMoment is how far the runtime state of a pool has come.
type viewMoment struct {
	moves    atomic.Uint64 // odd while a change is being applied
	revision atomic.Pointer[Revision]
}

// Type returns the provider type.
func (p *PoolView) Type() string { return p.typ }

// Revision returns the last change that is in the view.
func (p *PoolView) Revision() Revision { return *p.at.revision.Load() }

// Structure returns the last change to the membership, order or definitions.
func (p *PoolView) Structure() Revision { return p.structure }

// Len returns how many providers there are.
func (p *PoolView) Len() int { return len(p.order) }

// At returns the provider at a place from 0 on.
func (p *PoolView) At(i int) *ProviderView { return p.order[i] }

// Provider returns the provider of an id, or nil.
func (p *PoolView) Provider(id string) *ProviderView { return p.index.get(id) }

// Pool copies the pool. steady says that no change was applied meanwhile, so
// that it is the pool as of its Revision; otherwise some runtime state may be newer.
func (p *PoolView) Pool() (pool *Pool, steady bool) {
	moves := p.at.moves.Load()
	pool = &Pool{Type: p.typ, Revision: p.Revision(), Structure: p.structure, Providers: make([]Provider, len(p.order))}
	for i, v := range p.order {
		pool.Providers[i] = v.Provider()
	}
	return pool, moves%2 == 0 && p.at.moves.Load() == moves
}

// A ProviderView is one provider in a [View].
type ProviderView struct {
	ref        Ref
	definition []byte
	disabled   bool
	runtime    atomic.Pointer[viewState]
}

// A viewState is a runtime state, with what is asked for at each decision at
// hand. It never changes.
type viewState struct {
	state                 State
	counts                [RefreshCount + 1]int64
	healthy, needsRefresh bool
}

// Ref returns the address of the provider.
func (p *ProviderView) Ref() Ref { return p.ref }

// ID returns its id.
func (p *ProviderView) ID() string { return p.ref.ID }

// Definition returns the bytes of the definition, which must not be changed.
func (p *ProviderView) Definition() []byte { return p.definition }

// Disabled reports whether the operator has disabled the provider.
func (p *ProviderView) Disabled() bool { return p.disabled }

// State returns the runtime state that is laid over the definition.
func (p *ProviderView) State() State { return p.runtime.Load().state }

// Count returns the integer that the effective literal of a counter denotes.
func (p *ProviderView) Count(f Field) int64 {
	if f <= RefreshCount {
		return p.runtime.Load().counts[f]
	}
	return Int(p.Literal(f))
}

// Healthy reports whether the provider counts as healthy.
func (p *ProviderView) Healthy() bool { return p.runtime.Load().healthy }

// NeedsRefresh reports whether a refresh of its credential was asked for.
func (p *ProviderView) NeedsRefresh() bool { return p.runtime.Load().needsRefresh }

// Literal returns the effective literal of a runtime field.
func (p *ProviderView) Literal(f Field) string {
	return literalOf(&p.runtime.Load().state, p.definition, f)
}

// Provider copies the provider.
func (p *ProviderView) Provider() Provider {
	return Provider{Ref: p.ref, Definition: p.definition, State: p.State()}
}

// JSON returns the effective provider, see [Provider.JSON].
func (p *ProviderView) JSON() ([]byte, error) {
	whole := p.Provider()
	return whole.JSON()
}

func literalOf(s *State, definition []byte, f Field) string {
	if lit, ok := s.Get(f); ok {
		return lit
	}
	v, _ := rawjson.Get(definition, f.String())
	return string(v)
}

// A viewState holds the fields of viewFields at hand.
var viewFields = [...]Field{UsageCount, ErrorCount, RefreshCount, IsHealthy, NeedsRefresh}

// newViewState works out what is asked for at each decision, from the literals
// that the definition has of viewFields.
func newViewState(state *State, defined *[len(viewFields)]string) *viewState {
	v := &viewState{}
	for i, f := range viewFields {
		v.take(f, defined[i])
	}
	return v.with(state)
}

// with returns what becomes of it under another state, which has all fields that
// the one before had.
func (v *viewState) with(state *State) *viewState {
	next := *v
	next.state = *state
	for _, f := range viewFields {
		if lit, ok := state.Get(f); ok {
			next.take(f, lit)
		}
	}
	return &next
}

func (v *viewState) take(f Field, lit string) {
	switch f {
	case IsHealthy:
		v.healthy = Healthy(lit)
	case NeedsRefresh:
		v.needsRefresh = Truthy(lit)
	default:
		v.counts[f] = Int(lit)
	}
}
