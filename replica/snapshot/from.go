package snapshot

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

// From returns what [Keep] takes of a backend, such as a replica: all but the carried
// files, and these by themselves, for [KeeperOptions].Files.
func From(b poolkeeper.Backend) (take, files func(ctx context.Context) (*poolkeeper.Snapshot, error)) {
	take = func(ctx context.Context) (*poolkeeper.Snapshot, error) {
		return b.Load(ctx, poolkeeper.MetaKey, poolkeeper.PoolsKey, poolkeeper.ConfigKey, poolkeeper.PasswordKey,
			poolkeeper.Key{Kind: poolkeeper.KindToken}, poolkeeper.Key{Kind: poolkeeper.KindTokenRefs},
			poolkeeper.Key{Kind: poolkeeper.KindDocument}, poolkeeper.Key{Kind: poolkeeper.KindSession})
	}
	files = func(ctx context.Context) (*poolkeeper.Snapshot, error) {
		return b.Load(ctx, poolkeeper.Key{Kind: poolkeeper.KindFile})
	}
	return take, files
}
