package poolkeeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// An OpKind says what an [Op] does.
type OpKind string

// The kinds of ops. Those on the runtime state of a provider, then those on
// pools, then those on values.
const (
	// OpUsage adds N to usageCount; lastUsed takes the later of itself and At.
	OpUsage OpKind = "usage"
	// OpError counts an error: errorCount is 1 where the last error is more
	// than [ErrorWindow] ago, else one more, and lastErrorTime and lastUsed
	// are At; lastErrorMessage is Message where given; needsRefresh is false
	// and refreshCount 0. Once errorCount reaches Threshold (0: never), or at
	// once with Immediate (errorCount is then Threshold), isHealthy is false.
	// With RecoverAt, which implies Immediate, scheduledRecoveryTime is set.
	OpError OpKind = "error"
	// OpSuccess makes the provider healthy: isHealthy true, errorCount and
	// refreshCount 0, needsRefresh false, lastErrorTime and lastErrorMessage
	// null, lastRefreshTime At, _lastSelectionSeq 0; N is added to usageCount,
	// and lastUsed takes the later of itself and At. With Model, the success
	// is that of a health check: lastHealthCheckTime and -Model are set.
	OpSuccess OpKind = "success"
	// OpHealth records a health check: with Healthy as OpSuccess without N and
	// without lastUsed; else as OpError with Immediate. Either way
	// lastHealthCheckTime is At, and lastHealthCheckModel is Model where given.
	OpHealth OpKind = "health"
	// OpRefresh moves the state of a credential refresh, see [RefreshPhase].
	OpRefresh OpKind = "refresh"
	// OpReset makes the provider as new: isHealthy true, errorCount and
	// refreshCount 0, needsRefresh false, lastErrorTime, lastErrorMessage and
	// scheduledRecoveryTime null; with Usage, usageCount is 0 too.
	OpReset OpKind = "reset"

	// OpAddProvider appends the provider ID with the definition Data to the
	// pool, which it creates where there is none; [ErrExists] where it has it.
	OpAddProvider OpKind = "provider.add"
	// OpPutProvider replaces the definition of ID, or adds it. The effective
	// runtime state stays as it is, unless State is given: then that is laid
	// over the new definition instead.
	OpPutProvider OpKind = "provider.put"
	// OpPatchProvider changes the definition of ID by the patch Data. It may
	// not name a runtime field, nor the uuid.
	OpPatchProvider OpKind = "provider.patch"
	// OpDeleteProvider removes the provider ID with its runtime state.
	OpDeleteProvider OpKind = "provider.delete"
	// OpRenameProvider gives the provider ID the id NewID, and its definition
	// that uuid. Its place and runtime state stay. For [AliasLife], ops and
	// reads under the old id reach it.
	OpRenameProvider OpKind = "provider.rename"
	// OpReplacePool makes the pool exactly Providers, in that order; readers
	// see the old or the new one, whole. A provider that stays keeps its
	// effective runtime state unless its record has a State.
	OpReplacePool OpKind = "pool.replace"
	// OpReorderPool puts the providers of a pool in the order of Order, which
	// must name each of them once.
	OpReorderPool OpKind = "pool.reorder"
	// OpDeletePool removes the pool with all its providers.
	OpDeletePool OpKind = "pool.delete"
	// OpReorderTypes puts the types in the order of Order, which must name
	// each of them once. Its key is [TypesKey].
	OpReorderTypes OpKind = "types.reorder"

	// OpPut sets the value of the key to Data; with ExpiresAt (sessions only)
	// until then.
	OpPut OpKind = "put"
	// OpPatch changes the JSON document of the key by the patch Data.
	OpPatch OpKind = "patch"
	// OpDelete removes the value of the key.
	OpDelete OpKind = "delete"
)

// A RefreshPhase is a step of a credential refresh.
type RefreshPhase string

// The phases.
const (
	// RefreshNeeded sets needsRefresh, unless lastRefreshTime is less than
	// [RefreshPause] ago; the result says whether by Changed.
	RefreshNeeded RefreshPhase = "needed"
	// RefreshStarted adds 1 to refreshCount.
	RefreshStarted RefreshPhase = "started"
	// RefreshDone: needsRefresh false, refreshCount and errorCount 0,
	// lastRefreshTime and lastHealthCheckTime At.
	RefreshDone RefreshPhase = "done"
	// RefreshFailed adds 1 to errorCount, sets lastErrorTime to At and
	// lastErrorMessage to Message where given. Once errorCount reaches
	// Threshold, isHealthy is false; before that, needsRefresh is false and
	// lastRefreshTime is At.
	RefreshFailed RefreshPhase = "failed"
)

// Times of the gateway's rules, in milliseconds.
const (
	ErrorWindow  = 10_000
	RefreshPause = 30_000
	AliasLife    = 30 * 24 * 3600 * 1000

	// IdempotencyLife is how long an idempotency key counts.
	IdempotencyLife = 24 * 3600 * 1000
)

// A PatchKind is the dialect of a patch.
type PatchKind string

// The dialects: RFC 7386, where null deletes, and RFC 6902.
const (
	MergePatch PatchKind = "merge"
	JSONPatch  PatchKind = "json"
)

// If is what must hold for an op on a definition, pool or value to take
// effect; otherwise it is refused with [ErrConflict]. It is empty, [IfAbsent],
// [IfPresent], the [ETag] of the definition or value, or the text of the
// Structure revision of the [Pool].
type If string

// The conditions that are no ETag.
const (
	Always    If = ""
	IfAbsent  If = "absent"
	IfPresent If = "present"
)

// A ProviderRecord is a provider of a pool that is replaced whole.
type ProviderRecord struct {
	ID         string `json:"id"`
	Definition []byte `json:"definition"`
	// State is laid over the definition; nil keeps the effective runtime state
	// of a provider that stays, and is the zero State for a new one.
	State *State `json:"state,omitempty"`
}

// An Op is one mutation, as a value. Which fields an op of a kind has is said
// at the kind; the others are zero. An Op, with
// all that it points to, must not be changed after it was given to a Backend,
// see [Backend.Apply].
type Op struct {
	Kind OpKind `json:"kind"`
	Key  Key    `json:"key"`
	ID   string `json:"id,omitempty"`
	// At is when the op was decided, in milliseconds since 1970. A Store fills
	// it in where it is 0.
	At        int64        `json:"at,omitempty"`
	N         int64        `json:"n,omitempty"`
	Threshold int64        `json:"threshold,omitempty"`
	RecoverAt int64        `json:"recoverAt,omitempty"`
	ExpiresAt int64        `json:"expiresAt,omitempty"`
	Message   *string      `json:"message,omitempty"`
	Model     *string      `json:"model,omitempty"`
	Healthy   bool         `json:"healthy,omitempty"`
	Immediate bool         `json:"immediate,omitempty"`
	Usage     bool         `json:"usage,omitempty"`
	Phase     RefreshPhase `json:"phase,omitempty"`
	Patch     PatchKind    `json:"patch,omitempty"`
	If        If           `json:"if,omitempty"`
	NewID     string       `json:"newId,omitempty"`
	Data      []byte       `json:"data,omitempty"`
	State     *State       `json:"state,omitempty"`

	// IdempotencyKey makes an OpUsage safe to send again: 1 to [MaxKey]
	// printable ASCII characters, which name it within its pool. For
	// [IdempotencyLife] after it was applied, the same op under the same key
	// changes nothing and is answered with the Count and ID of then; another id
	// or N under it is [ErrReused]. An op that was refused has not used its key.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`

	Providers []ProviderRecord `json:"providers,omitempty"`
	Order     []string         `json:"order,omitempty"`
}

// IsRuntime reports whether the op changes nothing but runtime state.
func (op *Op) IsRuntime() bool {
	switch op.Kind {
	case OpUsage, OpError, OpSuccess, OpHealth, OpRefresh, OpReset:
		return true
	}
	return false
}

// Ref is the provider that a pool op names.
func (op *Op) Ref() Ref { return Ref{op.Key.Type, op.ID} }

// Subject names what the op is about, for people.
func (op *Op) Subject() string {
	if op.Key.Kind == KindPool && op.ID != "" {
		return op.Ref().String()
	}
	return op.Key.String()
}

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

// PatchedValue applies a patch op to the bytes of a definition or document.
// [ErrInvalid] where the patch does not apply, the target is no JSON object,
// or the result is none; [ErrTooLarge] where it exceeds its limit. For a
// provider, a patch that changes a runtime field or the uuid is ErrInvalid.
func (op *Op) PatchedValue(current []byte) ([]byte, error) {
	next, err := op.patched(current)
	if err != nil {
		return nil, Annotate(err, string(op.Kind), op.Subject())
	}
	return next, nil
}

func (op *Op) patched(current []byte) ([]byte, error) {
	if err := validateObject(current, "what is to be patched"); err != nil {
		return nil, err
	}
	var next []byte
	var err error
	if op.Patch == MergePatch {
		next, err = rawjson.MergePatch(current, op.Data)
	} else {
		next, err = rawjson.JSONPatch(current, op.Data)
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

// EncodeOp writes an op in its one encoding, a line of JSON without the line
// end; bytes are base64 in it.
func EncodeOp(op *Op) ([]byte, error) {
	b, err := json.Marshal(op)
	if err != nil {
		return nil, Errorf(ErrInvalid, "op cannot be encoded: %v", err)
	}
	return b, nil
}

// DecodeOp reads what [EncodeOp] wrote, strictly, and validates it. What can be
// read and is not valid is returned beside the error.
func DecodeOp(data []byte) (Op, error) {
	var op Op
	if err := decodeStrictly(data, &op); err != nil {
		return Op{}, Errorf(ErrInvalid, "op cannot be decoded: %s", decodeFault(err))
	}
	return op, op.Validate()
}

// DecodeKey reads a key as it stands in an op, strictly. It is not validated, as
// Load takes keys that no op can have.
func DecodeKey(data []byte) (Key, error) {
	var key Key
	if err := decodeStrictly(data, &key); err != nil {
		return Key{}, Errorf(ErrInvalid, "key cannot be decoded: %s", decodeFault(err))
	}
	return key, nil
}

func decodeStrictly(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errTail
	}
	return nil
}

var errTail = errors.New("something stands after it")

// OpKinds returns all kinds of ops.
func OpKinds() []OpKind {
	return []OpKind{
		OpUsage, OpError, OpSuccess, OpHealth, OpRefresh, OpReset,
		OpAddProvider, OpPutProvider, OpPatchProvider, OpDeleteProvider, OpRenameProvider,
		OpReplacePool, OpReorderPool, OpDeletePool, OpReorderTypes,
		OpPut, OpPatch, OpDelete,
	}
}
