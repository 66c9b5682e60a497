package poolkeeper

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
	// changes nothing and is answered with the Count and ID of then; another
	// provider or N under it is [ErrReused]. Ids of which one was renamed to the
	// other are of the same provider. An op that was refused has not used its key.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`

	// From makes an OpPatch of a token one that is the result of a refresh: it is the
	// [RefreshTokenHash] of the token that was presented for it. [ErrConflict] where
	// the stored token has another one: somebody else was quicker.
	From string `json:"from,omitempty"`

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

// OpKinds returns all kinds of ops.
func OpKinds() []OpKind {
	return []OpKind{
		OpUsage, OpError, OpSuccess, OpHealth, OpRefresh, OpReset,
		OpAddProvider, OpPutProvider, OpPatchProvider, OpDeleteProvider, OpRenameProvider,
		OpReplacePool, OpReorderPool, OpDeletePool, OpReorderTypes,
		OpPut, OpPatch, OpDelete,
	}
}
