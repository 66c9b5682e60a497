package poolkeeper

import (
	"bytes"
	"context"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// PatchedValue applies a patch op to the bytes of a definition or document.
// [ErrInvalid] where the patch does not apply, the target is no JSON object,
// or the result is none; [ErrTooLarge] where it exceeds its limit. For a
// provider, a patch that changes a runtime field or the uuid is ErrInvalid. A
// JSON Patch ends with ctx, between two of its operations.
func (op *Op) PatchedValue(ctx context.Context, current []byte) ([]byte, error) {
	next, err := op.patched(ctx, current)
	if err != nil {
		return nil, Annotate(err, string(op.Kind), op.Subject())
	}
	return next, nil
}

func (op *Op) patched(ctx context.Context, current []byte) ([]byte, error) {
	if err := validateObject(current, "what is to be patched"); err != nil {
		return nil, err
	}
	if op.From != "" {
		if has, _ := RefreshTokenHash(current); has != op.From {
			return nil, Errorf(ErrConflict, "the token was refreshed from another refresh token than the stored one").
				WithHint("read it again: somebody else has refreshed it")
		}
	}
	var next []byte
	var err error
	if op.Patch == MergePatch {
		next, err = rawjson.MergePatch(current, op.Data)
	} else if n := operations(op.Data); n > 1 && n > maxPatchWork/max(len(current), 1) {
		return nil, Errorf(ErrTooLarge, "a JSON Patch of %d operations on %d bytes; the limit is %d of them", n, len(current), max(maxPatchWork/len(current), 1)).
			WithHint("send fewer at a time, or a merge patch")
	} else {
		next, err = rawjson.JSONPatchUntil(current, op.Data, ctx.Err)
	}
	if err == context.Canceled || err == context.DeadlineExceeded {
		return nil, err
	}
	if err != nil {
		return nil, Errorf(ErrInvalid, "patch does not apply: %v", err)
	}
	if op.Kind != OpPatchProvider {
		return next, ValidateObject(next, "patched document")
	}
	if err := ValidateDefinition(next); err != nil {
		return nil, err
	}
	before, after := LiteralsOf(current), LiteralsOf(next)
	for f := range before {
		if before[f] != after[f] {
			return nil, Errorf(ErrInvalid, "%s is runtime state, which a patch does not change", Field(f)).
				WithHint("use usage, error, success, health or reset")
		}
	}
	was, _ := rawjson.Get(current, "uuid")
	is, _ := rawjson.Get(next, "uuid")
	if !bytes.Equal(was, is) {
		return nil, Errorf(ErrInvalid, "uuid is the provider's id, which a patch does not change").
			WithHint("use rename")
	}
	return next, nil
}

// maxPatchWork bounds operations times bytes of a JSON Patch: each operation goes
// through the whole document.
const maxPatchWork = 256 << 20

// operations is how many operations a JSON Patch has; 0 where it is none.
func operations(patch []byte) (n int) {
	_ = rawjson.Array(patch, func(int, []byte) error {
		n++
		return nil
	})
	return n
}
