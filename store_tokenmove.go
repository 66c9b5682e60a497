package poolkeeper

import (
	"bytes"
	"context"
	"errors"
)

// A tokenMove is a token on its way from one ref to another, with the entries
// of token paths that name it.
type tokenMove struct {
	s        *Store
	from, to Ref
	data     []byte // what was copied; nil where there was nothing
	again    bool   // the provider has the new id already: a move that was cut off
	paths    []Key
}

// tokenBefore returns the ref under which the token of a provider is stored
// before the provider is renamed: under an old id, that is the present one. A
// rename that was done already, but for the token, left it where it was.
func (s *Store) tokenBefore(ctx context.Context, r Ref, newID string) (Ref, error) {
	snap, err := s.b.Load(ctx, ProviderKey(r))
	if err != nil {
		return Ref{}, err
	}
	if p := snap.Provider(r); p != nil && p.ID != newID {
		return p.Ref, nil
	}
	return r, nil
}

// copyToken copies the token stored under a ref to another one.
func (s *Store) copyToken(ctx context.Context, from, to Ref, again bool) (*tokenMove, error) {
	m := &tokenMove{s: s, from: from, to: to}
	snap, err := s.b.Load(ctx, TokenKey(from), Key{Kind: KindTokenRefs})
	if err != nil {
		return nil, err
	}
	owner := EncodeTokenOwner(from)
	for k, d := range snap.Values {
		if k.Kind != KindTokenRefs {
			continue
		}
		if bytes.Equal(d.Data, owner) {
			m.paths = append(m.paths, k)
		}
		if !again && bytes.Equal(d.Data, EncodeTokenOwner(to)) {
			return nil, Errorf(ErrExists, "the id %q still owns the token of %s, which providers share", to.ID, k.Name).
				WithHint("choose another id")
		}
	}
	m.again = again
	return m, m.copy(ctx)
}

// copy brings the copy up to date with the original.
func (m *tokenMove) copy(ctx context.Context) error {
	snap, err := m.s.b.Load(ctx, TokenKey(m.from), TokenKey(m.to), ProviderKey(m.to))
	if err != nil {
		return err
	}
	d, ok := snap.Token(m.from)
	if !ok {
		m.data = nil
		return nil
	}
	cond := IfAbsent
	if c, ok := snap.Token(m.to); ok {
		if bytes.Equal(c.Data, d.Data) {
			m.data = d.Data
			return nil
		}
		// What is there is an older copy of ours, or an orphan; but never take
		// the token of a provider that has the id already.
		if m.again && len(m.paths) == 0 {
			// Whoever wrote to the provider since wrote here: this is the live one.
			m.data = d.Data
			return nil
		}
		if p := snap.Provider(m.to); !m.again && m.data == nil && p != nil && p.ID == m.to.ID {
			return Errorf(ErrExists, "provider %s already exists", m.to)
		}
		cond = If(c.ETag())
	}
	if _, err := m.s.apply(ctx, Op{Kind: OpPut, Key: TokenKey(m.to), Data: d.Data, If: cond}); err != nil {
		return err
	}
	m.data = d.Data
	return nil
}

// undo takes the copy back after the rename was refused.
func (m *tokenMove) undo(ctx context.Context) {
	if m.data == nil {
		return
	}
	// A copy that somebody changed meanwhile is no longer ours to remove.
	m.s.apply(context.WithoutCancel(ctx), Op{Kind: OpDelete, Key: TokenKey(m.to), If: If(ETag(m.data))})
}

// finish points the paths at the new owner and deletes the original, copying
// again where it was changed meanwhile.
func (m *tokenMove) finish(ctx context.Context) error {
	for _, k := range m.paths {
		_, err := m.s.apply(ctx, Op{Kind: OpPut, Key: k, Data: EncodeTokenOwner(m.to), If: If(ETag(EncodeTokenOwner(m.from)))})
		if err != nil && !errors.Is(err, ErrConflict) {
			return err
		}
	}
	if err := m.moveDisowned(ctx); err != nil {
		return err
	}
	for m.data != nil {
		_, err := m.s.apply(ctx, Op{Kind: OpDelete, Key: TokenKey(m.from), If: If(ETag(m.data))})
		if err == nil || errors.Is(err, ErrNotFound) {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if err := m.copy(ctx); err != nil {
			return err
		}
	}
	return nil
}

// moveDisowned takes the token along that a provider without a file has beside
// the one that it left to others. With a file, the entry of that leads to it.
func (m *tokenMove) moveDisowned(ctx context.Context) error {
	from, to := TokenKey(disowned(m.from, "")), TokenKey(disowned(m.to, ""))
	snap, err := m.s.b.Load(ctx, from)
	if err != nil {
		return err
	}
	d, ok := snap.Values[from]
	if !ok {
		return nil
	}
	// One that was put under the new id meanwhile is newer.
	if _, err := m.s.apply(ctx, Op{Kind: OpPut, Key: to, Data: d.Data, If: IfAbsent}); err != nil && !errors.Is(err, ErrConflict) {
		return err
	}
	_, err = m.s.apply(ctx, Op{Kind: OpDelete, Key: from, If: If(d.ETag())})
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return nil // whoever put it there looks again, and puts it under the new id
	}
	return err
}
