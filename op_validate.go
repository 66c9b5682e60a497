package poolkeeper

import (
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// Validate checks everything about an op that can be checked without the
// store: [ErrInvalid] or [ErrTooLarge].
func (op *Op) Validate() error {
	if err := op.validate(); err != nil {
		return Annotate(err, string(op.Kind), op.Subject())
	}
	return nil
}

func (op *Op) validate() error {
	if err := op.Key.Validate(); err != nil {
		return err
	}
	if op.At < 0 || op.RecoverAt < 0 || op.ExpiresAt < 0 || op.Threshold < 0 || op.At > maxMillis || op.RecoverAt > maxMillis || op.ExpiresAt > maxMillis {
		return Errorf(ErrInvalid, "a time or threshold is out of range")
	}
	if op.From != "" && (op.Kind != OpPatch || op.Key.Kind != KindToken) {
		return Errorf(ErrInvalid, "only a patch of a token is the result of a refresh")
	}
	if op.IdempotencyKey != "" {
		if err := op.validateIdempotencyKey(); err != nil {
			return err
		}
	}
	for _, s := range []*string{op.Message, op.Model} {
		if s == nil {
			continue
		}
		if len(*s) > MaxMessage {
			return Errorf(ErrTooLarge, "message or model of %d bytes; the limit is %d", len(*s), MaxMessage)
		}
		if !utf8.ValidString(*s) {
			return Errorf(ErrInvalid, "message or model is not valid UTF-8")
		}
	}
	switch op.Kind {
	case OpPut, OpPatch, OpDelete:
		return op.validateValue()
	case OpReorderTypes:
		if op.Key.Kind != KindTypes {
			return Errorf(ErrInvalid, "op %s has the key of a %s", op.Kind, op.Key.Kind)
		}
		if op.If != Always {
			return Errorf(ErrInvalid, "the order of the types has no condition")
		}
		return validateOrder(op.Order, ValidateType)
	}
	if op.Key.Kind != KindPool {
		return Errorf(ErrInvalid, "op %q has the key of a %s", string(op.Kind), op.Key.Kind)
	}
	return op.validatePool()
}

func (op *Op) validateIdempotencyKey() error {
	if op.Kind != OpUsage {
		return Errorf(ErrInvalid, "only usage takes an idempotency key")
	}
	if len(op.IdempotencyKey) > MaxKey {
		return Errorf(ErrTooLarge, "idempotency key of %d characters; the limit is %d", len(op.IdempotencyKey), MaxKey)
	}
	for i := range len(op.IdempotencyKey) {
		if c := op.IdempotencyKey[i]; c <= ' ' || c > '~' {
			return Errorf(ErrInvalid, "the idempotency key has white space, or what is not printable ASCII")
		}
	}
	return nil
}

// maxMillis is the year 9999: what an ISO time of four digits can say.
const maxMillis = 253402300799999

func (op *Op) validatePool() error {
	switch op.Kind {
	case OpReplacePool:
		seen := make(map[string]bool, len(op.Providers))
		for i := range op.Providers {
			p := &op.Providers[i]
			if err := ValidateID(p.ID); err != nil {
				return err
			}
			if seen[p.ID] {
				return Errorf(ErrInvalid, "provider id %q stands twice", p.ID)
			}
			seen[p.ID] = true
			if err := validateIdentity(p.ID, p.Definition); err != nil {
				return Annotate(err, "", Ref{op.Key.Type, p.ID}.String())
			}
			if err := p.State.validate(); err != nil {
				return Annotate(err, "", Ref{op.Key.Type, p.ID}.String())
			}
		}
		return nil
	case OpDeletePool:
		return nil
	case OpReorderPool:
		return validateOrder(op.Order, ValidateID)
	}
	if err := ValidateID(op.ID); err != nil {
		return err
	}
	if op.IsRuntime() && op.If != Always {
		return Errorf(ErrInvalid, "an op on runtime state has no condition")
	}
	if err := op.State.validate(); err != nil {
		return err
	}
	switch op.Kind {
	case OpUsage:
		if op.N < 1 || op.N > MaxUsage {
			return Errorf(ErrInvalid, "n is %d; it must be 1 to %d", op.N, int64(MaxUsage))
		}
	case OpSuccess:
		if op.N < 0 || op.N > MaxUsage {
			return Errorf(ErrInvalid, "n is %d; it must be 0 to %d", op.N, int64(MaxUsage))
		}
	case OpError, OpHealth, OpReset, OpDeleteProvider:
	case OpRefresh:
		switch op.Phase {
		case RefreshNeeded, RefreshStarted, RefreshDone, RefreshFailed:
		default:
			return Errorf(ErrInvalid, "refresh phase %q is none of needed, started, done, failed", string(op.Phase))
		}
	case OpAddProvider, OpPutProvider:
		return validateIdentity(op.ID, op.Data)
	case OpPatchProvider:
		return op.validatePatch()
	case OpRenameProvider:
		if err := ValidateID(op.NewID); err != nil {
			return Annotate(err, "", "new id")
		}
		if op.NewID[0] == '~' {
			return Errorf(ErrInvalid, `new id begins with "~", the mark of derived ids`)
		}
		if op.NewID == op.ID {
			return Errorf(ErrInvalid, "new id equals the old one")
		}
	default:
		return Errorf(ErrInvalid, "unknown op kind %q", string(op.Kind))
	}
	return nil
}

// validateIdentity checks a definition against the id that it is kept under:
// an id is the uuid, or derived.
func validateIdentity(id string, definition []byte) error {
	if err := ValidateDefinition(definition); err != nil {
		return err
	}
	if id[0] == '~' {
		return nil
	}
	if uuid, ok := UsableUUID(definition); !ok || uuid != id {
		return Errorf(ErrInvalid, "the uuid in the definition is not the id %q", id).
			WithHint("rename changes the id of a provider")
	}
	return nil
}

func validateOrder(order []string, check func(string) error) error {
	seen := make(map[string]bool, len(order))
	for _, s := range order {
		if err := check(s); err != nil {
			return err
		}
		if seen[s] {
			return Errorf(ErrInvalid, "%q stands twice in the order", s)
		}
		seen[s] = true
	}
	return nil
}

func (op *Op) validateValue() error {
	if !op.Key.IsValue() {
		return Errorf(ErrInvalid, "op %s has the key of a %s", op.Kind, op.Key.Kind)
	}
	if op.Key.Kind == KindTokenRefs && op.Kind == OpPut {
		if _, err := DecodeTokenOwner(op.Data); err != nil {
			return err
		}
	}
	switch op.Kind {
	case OpPut:
		if op.ExpiresAt != 0 && op.Key.Kind != KindSession {
			return Errorf(ErrInvalid, "only a session expires")
		}
		if n := op.Key.Limit(); len(op.Data) > n {
			return Errorf(ErrTooLarge, "value of %d bytes; the limit is %d", len(op.Data), n)
		}
	case OpPatch:
		switch op.Key.Kind {
		case KindConfig, KindDocument, KindToken:
			return op.validatePatch()
		}
		return Errorf(ErrInvalid, "a %s cannot be patched", op.Key.Kind)
	}
	return nil
}

func (op *Op) validatePatch() error {
	if len(op.Data) > MaxDocument {
		return Errorf(ErrTooLarge, "patch of %d bytes; the limit is %d", len(op.Data), MaxDocument)
	}
	if err := rawjson.Valid(op.Data); err != nil {
		return Errorf(ErrInvalid, "patch is not valid JSON: %v", err)
	}
	switch kind := rawjson.KindOf(op.Data); {
	case op.Patch != MergePatch && op.Patch != JSONPatch:
		return Errorf(ErrInvalid, "patch dialect %q is neither merge nor json", string(op.Patch))
	case op.Patch == MergePatch && kind != rawjson.KindObject:
		return Errorf(ErrInvalid, "a merge patch is a JSON object")
	case op.Patch == JSONPatch && kind != rawjson.KindArray:
		return Errorf(ErrInvalid, "a JSON Patch is a JSON array")
	}
	return nil
}
