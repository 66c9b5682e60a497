package poolkeeper

import (
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A Document is the value under a key, with its revision. Data is kept to the
// byte; it need not be valid JSON, as what is carried may be damaged.
type Document struct {
	Data []byte
	// Revision is that of the key. Files, and token paths, are ordered
	// together, so theirs may be that of the last change to any of them.
	Revision Revision
	// ExpiresAt is when a session ends, in milliseconds since 1970; 0: never.
	ExpiresAt int64
}

// ETag identifies the content.
func (d Document) ETag() string { return ETag(d.Data) }

// A Provider is one provider as it was read.
type Provider struct {
	Ref
	Definition []byte
	State      State
}

// JSON returns the effective provider: the definition with the runtime state
// laid over it.
func (p *Provider) JSON() ([]byte, error) {
	b, err := p.State.Overlay(p.Definition)
	if err != nil {
		return nil, &Error{Action: "read", Key: p.Ref.String(), Err: ErrDamaged, Detail: "the stored definition is damaged: " + err.Error()}
	}
	return b, nil
}

// ETag identifies the definition.
func (p *Provider) ETag() string { return ETag(p.Definition) }

// Literal returns the effective literal of a runtime field.
func (p *Provider) Literal(f Field) string {
	if lit, ok := p.State.Get(f); ok {
		return lit
	}
	v, _ := rawjson.Get(p.Definition, f.String())
	return string(v)
}

// Count returns the integer that the effective literal of a counter denotes.
func (p *Provider) Count(f Field) int64 { return Int(p.Literal(f)) }

// Healthy reports whether the provider counts as healthy.
func (p *Provider) Healthy() bool { return Healthy(p.Literal(IsHealthy)) }

// Disabled reports whether the operator has disabled the provider.
func (p *Provider) Disabled() bool {
	v, _ := rawjson.Get(p.Definition, "isDisabled")
	return Truthy(string(v))
}

// A Pool is all providers of one type, in order.
type Pool struct {
	Type     string
	Revision Revision
	// Structure is the revision of the last change to the membership, the
	// order or a definition: what traffic changes leaves it as it is. Its text
	// is the condition of an op on the whole pool.
	Structure Revision
	Providers []Provider
}

// Provider finds a provider of the pool by its id.
func (p *Pool) Provider(id string) *Provider {
	for i := range p.Providers {
		if p.Providers[i].ID == id {
			return &p.Providers[i]
		}
	}
	return nil
}

// A Snapshot is state as it was read, or is to be restored. Maps may be nil.
type Snapshot struct {
	Meta map[string]string
	// Types are the types in their order; each has a pool in Pools, unless the
	// snapshot was loaded for some keys only.
	Types  []string
	Pools  map[string]*Pool
	Values map[Key]Document
	// Aliases are the old ids that were asked for, and the ids that the
	// providers have now.
	Aliases map[Ref]string
}

// NewSnapshot returns an empty Snapshot with its maps made.
func NewSnapshot() *Snapshot {
	return &Snapshot{
		Meta:    map[string]string{},
		Pools:   map[string]*Pool{},
		Values:  map[Key]Document{},
		Aliases: map[Ref]string{},
	}
}

// AddPool appends a pool after the others, or replaces the one of its type.
func (s *Snapshot) AddPool(p *Pool) {
	if !slices.Contains(s.Types, p.Type) {
		s.Types = append(s.Types, p.Type)
	}
	s.Pools[p.Type] = p
}

// Provider finds a provider, under an old id too where it was loaded by it. A
// snapshot that was loaded for a ProviderKey holds it in a pool of its own.
func (s *Snapshot) Provider(r Ref) *Provider {
	if id, ok := s.Aliases[r]; ok {
		r.ID = id
	}
	if p := s.Pools[r.Type]; p != nil {
		return p.Provider(r.ID)
	}
	return nil
}

// Token finds the token stored under a ref.
func (s *Snapshot) Token(r Ref) (Document, bool) {
	d, ok := s.Values[TokenKey(r)]
	return d, ok
}

// KeysOf returns the keys of the values of a kind, sorted by type and name.
func (s *Snapshot) KeysOf(kind KeyKind) []Key {
	var keys []Key
	for k := range s.Values {
		if k.Kind == kind {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, CompareKeys)
	return keys
}

// CompareKeys orders keys by kind, type and name.
func CompareKeys(a, b Key) int {
	if a.Kind != b.Kind {
		return strings.Compare(string(a.Kind), string(b.Kind))
	}
	if a.Type != b.Type {
		return strings.Compare(a.Type, b.Type)
	}
	return strings.Compare(a.Name, b.Name)
}

// Counts returns how many providers, tokens and other values there are.
func (s *Snapshot) Counts() (providers, tokens, documents, files, sessions int) {
	for _, p := range s.Pools {
		providers += len(p.Providers)
	}
	for k := range s.Values {
		switch k.Kind {
		case KindToken:
			tokens++
		case KindDocument:
			documents++
		case KindFile:
			files++
		case KindSession:
			sessions++
		}
	}
	return
}
