package poolkeeper

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// A Token is the credential of a provider as it was read.
type Token struct {
	Document
	// Owner is the ref that the token is stored under: that of the provider,
	// or, for a file that several share, of the first of them.
	Owner Ref
	// Path is the token file by which it is shared; empty where it has none.
	Path string
}

// Token returns the token of a provider. Providers whose definitions name the
// same file share one token.
func (s *Store) Token(ctx context.Context, r Ref) (Token, error) {
	t, err := s.findToken(ctx, r)
	if err != nil {
		return Token{}, Annotate(err, "read token of", r.String())
	}
	snap, err := s.b.Load(ctx, TokenKey(t.Owner))
	if err != nil {
		return Token{}, Annotate(err, "read token of", r.String())
	}
	d, ok := snap.Token(t.Owner)
	if !ok {
		return Token{}, Annotate(noToken(t.Path), "read token of", r.String())
	}
	t.Document = d
	return t, nil
}

// noToken says that there is no token, and why, where a file outside of the parent
// of configs/ is named: those are not read unless that was allowed.
func noToken(path string) error {
	if _, outside := NormalizeTokenPath(path); !outside {
		return Errorf(ErrNotFound, "there is no token")
	}
	return Errorf(ErrNotFound, "there is no token: its file %q lies outside of the parent of configs/, and was not read", path).
		WithHint("let the provider name a file inside, such as configs/TYPE/NAME.json; or keep the state in Redis, into which import --allow-external takes it")
}

// findToken finds out where the token of a provider is, or would be, stored.
func (s *Store) findToken(ctx context.Context, r Ref) (Token, error) {
	p, err := s.Provider(ctx, r)
	if err != nil {
		return Token{}, err
	}
	t := Token{Owner: p.Ref}
	paths := TokenPaths(p.Definition)
	if len(paths) == 0 {
		return t, s.disown(ctx, &t)
	}
	t.Path = paths[0].Path
	snap, err := s.b.Load(ctx, TokenRefKey(t.Path))
	if err != nil {
		return Token{}, err
	}
	if d, ok := snap.Values[TokenRefKey(t.Path)]; ok {
		if t.Owner, err = DecodeTokenOwner(d.Data); err != nil {
			return Token{}, &Error{Key: TokenRefKey(t.Path).String(), Err: ErrDamaged, Detail: "its owner cannot be read"}
		}
		return t, nil
	}
	return t, s.disown(ctx, &t)
}

// disown keeps a provider that no longer names the file of a token, which is
// stored under its ref, from taking that for its own: others may share it. Its
// own is then stored under a ref made of its id and path.
func (s *Store) disown(ctx context.Context, t *Token) error {
	snap, err := s.b.Load(ctx, Key{Kind: KindTokenRefs})
	if err != nil {
		return err
	}
	owner := EncodeTokenOwner(t.Owner)
	for _, d := range snap.Values {
		if bytes.Equal(d.Data, owner) {
			t.Owner = disowned(t.Owner, t.Path)
			return nil
		}
	}
	return nil
}

// disowned is the ref of the token of a provider that has left the file of the
// one under its own ref.
func disowned(r Ref, path string) Ref {
	sum := sha256.Sum256([]byte(r.ID + "\x00" + path))
	return Ref{r.Type, "~" + hex.EncodeToString(sum[:8])}
}

// PutToken replaces the token of a provider, which must be a JSON object, or
// gives it one. The condition is the ETag of what was read, so that a refresh
// does not undo one that came between.
func (s *Store) PutToken(ctx context.Context, r Ref, data []byte, cond If) (Result, error) {
	if err := ValidateObject(data, "token"); err != nil {
		return Result{}, Annotate(err, "put token of", r.String())
	}
	return s.onToken(ctx, r, Op{Kind: OpPut, Data: data, If: cond})
}

// PatchToken changes the fields of a token that the patch names.
func (s *Store) PatchToken(ctx context.Context, r Ref, kind PatchKind, patch []byte, cond If) (Result, error) {
	return s.onToken(ctx, r, Op{Kind: OpPatch, Patch: kind, Data: patch, If: cond})
}

// DeleteToken removes the token of a provider, for all that share it.
func (s *Store) DeleteToken(ctx context.Context, r Ref, cond If) (Result, error) {
	return s.onToken(ctx, r, Op{Kind: OpDelete, If: cond})
}

func (s *Store) onToken(ctx context.Context, r Ref, op Op) (Result, error) {
	action := string(op.Kind) + " token of"
	ctx = ReadCurrent(ctx)
	t, err := s.findToken(ctx, r)
	if err != nil {
		return Result{}, Annotate(err, action, r.String())
	}
	if op.Kind == OpPut && t.Path != "" {
		// A put that is going to be refused must not leave an entry behind.
		if err := s.meets(ctx, TokenKey(t.Owner), op.If); err != nil {
			return Result{}, Annotate(err, action, r.String())
		}
		// Whoever names the same file later shares the token. Losing the race
		// for the path is fine: then the winner's entry is the one to follow.
		_, err := s.apply(ctx, Op{Kind: OpPut, Key: TokenRefKey(t.Path), Data: EncodeTokenOwner(t.Owner), If: IfAbsent})
		if err != nil && !errors.Is(err, ErrConflict) {
			return Result{}, Annotate(err, action, r.String())
		}
		if err != nil {
			if t, err = s.findToken(ctx, r); err != nil {
				return Result{}, Annotate(err, action, r.String())
			}
		}
	}
	op.Key = TokenKey(t.Owner)
	res, err := s.apply(ctx, op)
	if err != nil {
		return res, Annotate(err, action, r.String())
	}
	res.ID = t.Owner.ID
	if op.Kind != OpPut {
		return res, nil
	}
	// A rename that came between has taken the token along: then what was put
	// goes after it.
	now, err := s.findToken(ctx, r)
	if err != nil || now.Owner == t.Owner {
		return res, nil // the put was acknowledged; looking again is a courtesy
	}
	op.Key, op.If = TokenKey(now.Owner), Always
	if res, err = s.apply(ctx, op); err != nil {
		e := Errorf(ErrIndeterminate, "the provider was renamed meanwhile, and its token is perhaps not the new one: %v", err)
		return res, Annotate(e.WithHint("put it again"), action, r.String())
	}
	s.apply(ctx, Op{Kind: OpDelete, Key: TokenKey(t.Owner), If: If(ETag(op.Data))}) // a leftover harms nobody
	res.ID = now.Owner.ID
	return res, nil
}

// meets checks a condition on a value ahead of the op that has it.
func (s *Store) meets(ctx context.Context, key Key, cond If) error {
	if cond == Always {
		return nil
	}
	snap, err := s.b.Load(ctx, key)
	if err != nil {
		return err
	}
	d, ok := snap.Values[key]
	if ok && (cond == IfPresent || cond == If(d.ETag())) || !ok && cond == IfAbsent {
		return nil
	}
	return Errorf(ErrConflict, "it is not as the caller saw it").WithHint("read it again and decide anew")
}

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
