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
