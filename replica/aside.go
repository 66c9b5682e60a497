package replica

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.AsideKeeper = (*Replica)(nil)

// Pending implements poolkeeper.AsideKeeper, where the source does.
func (r *Replica) Pending(ctx context.Context) (*poolkeeper.Pending, error) {
	return poolkeeper.New(r.source, nil).Pending(ctx)
}

// RetryAside implements poolkeeper.AsideKeeper, where the source does.
func (r *Replica) RetryAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return poolkeeper.New(r.source, nil).RetryAside(ctx, pick)
}

// DiscardAside implements poolkeeper.AsideKeeper, where the source does.
func (r *Replica) DiscardAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return poolkeeper.New(r.source, nil).DiscardAside(ctx, pick)
}
