package poolkeeper

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// Provider returns one provider, under an old id too for [AliasLife] after a
// rename: its Ref has the present one.
func (s *Store) Provider(ctx context.Context, r Ref) (*Provider, error) {
	if err := r.Validate(); err != nil {
		return nil, Annotate(err, "read", "provider")
	}
	snap, err := s.b.Load(ctx, ProviderKey(r))
	if err != nil {
		return nil, Annotate(err, "read", r.String())
	}
	if p := snap.Provider(r); p != nil {
		return p, nil
	}
	return nil, &Error{Action: "read provider", Key: r.String(), Err: ErrNotFound}
}

// AddProvider appends a provider to a pool, which it creates where there is
// none. A definition without a uuid (absent, null or empty) gets a random one;
// a uuid that cannot serve as an id is [ErrInvalid], one that is taken
// [ErrExists]. The result has the id.
func (s *Store) AddProvider(ctx context.Context, typ string, definition []byte) (Result, error) {
	action, key := string(OpAddProvider), PoolKey(typ).String()
	if err := ValidateDefinition(definition); err != nil {
		return Result{}, Annotate(err, action, key)
	}
	id, ok := UsableUUID(definition)
	if !ok {
		switch lit, _ := rawjson.Get(definition, "uuid"); string(lit) {
		case "", "null", `""`:
		default:
			return Result{}, Annotate(Errorf(ErrInvalid, "the uuid in the definition is not a string of 1 to %d bytes without NUL and a leading ~", MaxID), action, key)
		}
		id = randomUUID()
		var err error
		if definition, err = rawjson.Set(definition, "uuid", rawjson.Quote(id)); err != nil {
			return Result{}, Annotate(Errorf(ErrInvalid, "definition: %v", err), action, key)
		}
	}
	return s.apply(ctx, Op{Kind: OpAddProvider, Key: PoolKey(typ), ID: id, Data: definition})
}

// PutProvider replaces the definition of a provider, or adds it. Runtime
// fields in it are kept as bytes; the runtime state stays as it is.
func (s *Store) PutProvider(ctx context.Context, r Ref, definition []byte, cond If) (Result, error) {
	return s.apply(ctx, Op{Kind: OpPutProvider, Key: PoolKey(r.Type), ID: r.ID, Data: definition, If: cond})
}

// PatchProvider changes the fields of a definition that the patch names. One
// that names a runtime field or the uuid is [ErrInvalid].
func (s *Store) PatchProvider(ctx context.Context, r Ref, kind PatchKind, patch []byte, cond If) (Result, error) {
	return s.apply(ctx, Op{Kind: OpPatchProvider, Key: PoolKey(r.Type), ID: r.ID, Patch: kind, Data: patch, If: cond})
}

// DeleteProvider removes a provider with its runtime state. Its token stays,
// as the gateway leaves the file of one that it deletes.
func (s *Store) DeleteProvider(ctx context.Context, r Ref, cond If) (Result, error) {
	return s.apply(ctx, Op{Kind: OpDeleteProvider, Key: PoolKey(r.Type), ID: r.ID, If: cond})
}

// RenameProvider gives a provider a new id, and its definition that uuid. The
// token moves along: it is copied before and deleted after. A rename that was
// cut off is completed by calling it again.
func (s *Store) RenameProvider(ctx context.Context, r Ref, newID string, cond If) (Result, error) {
	op := Op{Kind: OpRenameProvider, Key: PoolKey(r.Type), ID: r.ID, NewID: newID, If: cond}
	if err := op.Validate(); err != nil {
		return Result{}, err
	}
	ctx = ReadCurrent(ctx) // the token that is copied must be the one that there is
	// A rename that is going to be refused must not move the token first.
	again, err := s.renamable(ctx, r, newID, cond)
	if err != nil {
		return Result{}, Annotate(err, string(op.Kind), r.String())
	}
	from, err := s.tokenBefore(ctx, r, newID)
	if err != nil {
		return Result{}, Annotate(err, string(op.Kind), r.String())
	}
	move, err := s.copyToken(ctx, from, Ref{r.Type, newID}, again)
	if err != nil {
		return Result{}, Annotate(err, string(op.Kind), r.String())
	}
	res, err := s.apply(ctx, op)
	if errors.Is(err, ErrIndeterminate) {
		return res, err // the copy may be the token of the new id by now
	}
	if err != nil {
		move.undo(ctx)
		return res, err
	}
	if err := move.finish(ctx); err != nil {
		e := Errorf(ErrIndeterminate, "the provider was renamed, but its token has perhaps not moved: %v", err)
		return res, Annotate(e.WithHint("rename it again"), string(op.Kind), r.String())
	}
	return res, nil
}

// renamable checks what can be known ahead of a rename. again says that it has
// been made already.
func (s *Store) renamable(ctx context.Context, r Ref, newID string, cond If) (again bool, err error) {
	to := Ref{r.Type, newID}
	snap, err := s.b.Load(ctx, ProviderKey(r), ProviderKey(to))
	if err != nil {
		return false, err
	}
	p, taken := snap.Provider(r), snap.Provider(to)
	switch {
	case p == nil && cond != Always:
		return false, Errorf(ErrConflict, "it is not there")
	case p == nil:
		return false, &Error{Err: ErrNotFound}
	case p.ID == newID:
		return true, nil
	case cond == IfAbsent || cond != Always && cond != IfPresent && cond != If(p.ETag()):
		return false, Errorf(ErrConflict, "it is not as the caller saw it").WithHint("read it again and decide anew")
	case taken != nil && taken.ID == newID:
		return false, Errorf(ErrExists, "provider %s already exists", to)
	}
	return false, nil
}

// randomUUID is a version 4 UUID in lower case, as the gateway makes them.
func randomUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
