package poolkeeper

import (
	"context"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// Usage adds n to the usageCount of a provider and moves lastUsed forward. The
// result has the new count.
func (s *Store) Usage(ctx context.Context, r Ref, n int64) (Result, error) {
	return s.apply(ctx, Op{Kind: OpUsage, Key: PoolKey(r.Type), ID: r.ID, N: n})
}

// A Failure is an error of a provider, as the gateway saw it.
type Failure struct {
	Message string // kept where not empty
	// Unhealthy makes the provider unhealthy at once, whatever was counted.
	Unhealthy bool
	// RecoverAt makes it unhealthy until then.
	RecoverAt time.Time
	// Threshold is how many errors in a row make it unhealthy; 0: never by
	// count. Nil takes MAX_ERROR_COUNT of the configuration, 10 without one.
	Threshold *int64
}

// Error counts an error of a provider. The result has the new errorCount and
// whether the provider is still healthy.
func (s *Store) Error(ctx context.Context, r Ref, f Failure) (Result, error) {
	threshold, err := s.threshold(ctx, f.Threshold)
	if err != nil {
		return Result{}, Annotate(err, string(OpError), r.String())
	}
	op := Op{Kind: OpError, Key: PoolKey(r.Type), ID: r.ID, Immediate: f.Unhealthy, Threshold: threshold, Message: optional(f.Message)}
	if !f.RecoverAt.IsZero() {
		op.RecoverAt = f.RecoverAt.UnixMilli()
	}
	return s.apply(ctx, op)
}

// Success makes a provider healthy and adds n, which may be 0, to its
// usageCount. The result has the new count. A model that is not empty says
// that it was a health check with that model.
func (s *Store) Success(ctx context.Context, r Ref, n int64, model string) (Result, error) {
	return s.apply(ctx, Op{Kind: OpSuccess, Key: PoolKey(r.Type), ID: r.ID, N: n, Model: optional(model)})
}

// A Check is the outcome of a health check.
type Check struct {
	Healthy bool
	Model   string // the model it was made with; may be empty
	Message string // what failed; may be empty
}

// Health records a health check.
func (s *Store) Health(ctx context.Context, r Ref, c Check) (Result, error) {
	threshold, err := s.threshold(ctx, nil)
	if err != nil {
		return Result{}, Annotate(err, string(OpHealth), r.String())
	}
	return s.apply(ctx, Op{Kind: OpHealth, Key: PoolKey(r.Type), ID: r.ID, Healthy: c.Healthy, Threshold: threshold,
		Model: optional(c.Model), Message: optional(c.Message)})
}

// Refresh moves the state of a credential refresh. The message belongs to
// [RefreshFailed], after five of which the provider is unhealthy.
func (s *Store) Refresh(ctx context.Context, r Ref, phase RefreshPhase, message string) (Result, error) {
	op := Op{Kind: OpRefresh, Key: PoolKey(r.Type), ID: r.ID, Phase: phase, Message: optional(message)}
	if phase == RefreshFailed {
		op.Threshold = 5
	}
	return s.apply(ctx, op)
}

// Reset makes a provider healthy with no errors; with usage, its usageCount is
// 0 as well.
func (s *Store) Reset(ctx context.Context, r Ref, usage bool) (Result, error) {
	return s.apply(ctx, Op{Kind: OpReset, Key: PoolKey(r.Type), ID: r.ID, Usage: usage})
}

// DefaultMaxErrors is the MAX_ERROR_COUNT of a configuration without one.
const DefaultMaxErrors = 10

// threshold resolves MAX_ERROR_COUNT. A configuration that is missing or
// damaged has the default, as in the gateway.
func (s *Store) threshold(ctx context.Context, given *int64) (int64, error) {
	if given != nil {
		return *given, nil
	}
	snap, err := s.b.Load(readAny(ctx), ConfigKey)
	if err != nil {
		return 0, err
	}
	config := snap.Values[ConfigKey].Data
	lit, ok := rawjson.Get(config, "MAX_ERROR_COUNT")
	if !ok || rawjson.KindOf(lit) != rawjson.KindNumber {
		return DefaultMaxErrors, nil
	}
	return max(0, Int(string(lit))), nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
