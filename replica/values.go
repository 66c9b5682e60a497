package replica

import (
	"slices"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// values are the values of the copy: key → *poolkeeper.Document.
type values struct {
	tokens, refs, documents, sessions, single sync.Map
}

func (v *values) of(kind poolkeeper.KeyKind) *sync.Map {
	switch kind {
	case poolkeeper.KindToken:
		return &v.tokens
	case poolkeeper.KindTokenRefs:
		return &v.refs
	case poolkeeper.KindDocument:
		return &v.documents
	case poolkeeper.KindSession:
		return &v.sessions
	}
	return &v.single
}

func (v *values) all() []*sync.Map {
	return []*sync.Map{&v.tokens, &v.refs, &v.documents, &v.sessions, &v.single}
}

func (v *values) get(key poolkeeper.Key) (*poolkeeper.Document, bool) {
	if d, ok := v.of(key.Kind).Load(key); ok {
		return d.(*poolkeeper.Document), true
	}
	return nil, false
}

// everyValue names what the copy has beside the pools.
var everyValue = []poolkeeper.Key{
	poolkeeper.MetaKey, poolkeeper.TypesKey, poolkeeper.ConfigKey, poolkeeper.PasswordKey,
	{Kind: poolkeeper.KindToken}, {Kind: poolkeeper.KindTokenRefs}, {Kind: poolkeeper.KindDocument}, {Kind: poolkeeper.KindSession},
}

// isKind reports whether a key means all values of a kind.
func isKind(key poolkeeper.Key) bool {
	return key.Name == "" && key.IsValue() && key.Kind != poolkeeper.KindConfig && key.Kind != poolkeeper.KindPassword
}

// takeIn puts what was loaded into the copy.
func (r *Replica) takeIn(batch map[poolkeeper.Key]*ask, snap *poolkeeper.Snapshot) {
	for key, a := range batch {
		switch {
		case key == poolkeeper.TypesKey:
			r.typesLoaded(snap.Types)
			if a.told != nil {
				r.tell(*a.told)
			}
		case key == poolkeeper.MetaKey:
			meta := snap.Meta
			r.meta.Store(&meta)
		case isKind(key):
			for k, d := range snap.Values {
				if k.Kind == key.Kind {
					r.put(k, d)
				}
			}
			r.values.of(key.Kind).Range(func(k, _ any) bool {
				if k := k.(poolkeeper.Key); !hasKey(snap, k) {
					r.drop(k)
				}
				return true
			})
		default:
			if d, ok := snap.Values[key]; ok {
				r.put(key, d)
			} else {
				r.drop(key)
			}
		}
		delete(r.owed, key)
		delete(r.failing, key)
		close(a.done)
	}
	r.settled()
}

func (r *Replica) put(key poolkeeper.Key, d poolkeeper.Document) {
	// Revisions of sessions begin anew when one was forgotten.
	was, ok := r.values.get(key)
	if ok && key.Kind != poolkeeper.KindSession && d.Revision.Number < was.Revision.Number && r.setBack(key) {
		return
	}
	delete(r.older, key)
	d.Revision.Writer = r.names.of(d.Revision.Writer)
	r.values.of(key.Kind).Store(key, &d)
	c := poolkeeper.Change{Kind: poolkeeper.ChangeValue, Key: key, After: d.Revision}
	if ok {
		c.Before = was.Revision
	}
	if c.Before != c.After {
		r.tell(c)
	}
}

// drop takes a value out of the copy.
func (r *Replica) drop(key poolkeeper.Key) {
	if was, ok := r.values.get(key); ok {
		r.values.of(key.Kind).Delete(key)
		r.tell(poolkeeper.Change{Kind: poolkeeper.ChangeValue, Key: key, Before: was.Revision})
	}
}

func hasKey(snap *poolkeeper.Snapshot, key poolkeeper.Key) bool {
	_, ok := snap.Values[key]
	return ok
}

// typesLoaded puts the types in the order that was loaded. Pools that it adds or
// leaves out are loaded.
func (r *Replica) typesLoaded(types []string) {
	all := *r.pools.Load()
	next := slices.Clone(types)
	for _, typ := range r.types {
		if f := all[typ]; !slices.Contains(types, typ) && f != nil && f.view != nil {
			next = append(next, typ)
			r.load(f, causeTold)
		}
	}
	r.types = next
	for _, typ := range types {
		switch f := r.followed(typ); {
		case f.view != nil:
		case f.loading:
			f.listed = true
		default:
			r.load(f, causeTold)
		}
	}
	r.reshow()
}

// names keeps one of each writer's name, where there would be one for each value.
type names map[string]string

func (n *names) of(name string) string {
	if kept, ok := (*n)[name]; ok {
		return kept
	}
	if *n == nil || len(*n) >= 1000 {
		*n = names{}
	}
	(*n)[name] = name
	return name
}

// expired reports whether a value has ended by its time.
func expired(d *poolkeeper.Document, now time.Time) bool {
	return d.ExpiresAt != 0 && now.UnixMilli() >= d.ExpiresAt
}
