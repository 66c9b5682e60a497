package replica

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Recoverer = (*Replica)(nil)

// A recoverable Source can be given back what it has lost.
type recoverable interface {
	Recover(ctx context.Context, snap *poolkeeper.Snapshot) (other bool, err error)
	Adopt(ctx context.Context) error
}

// Recover implements poolkeeper.Recoverer. What it puts back is the copy, with the
// carried files of the last snapshot.
func (r *Replica) Recover(ctx context.Context, adopt bool) (poolkeeper.Recovered, error) {
	var done poolkeeper.Recovered
	source, ok := r.source.(recoverable)
	if !ok {
		return done, poolkeeper.Errorf(poolkeeper.ErrForbidden, "this store cannot be put back by an instance")
	}
	if adopt {
		done.By = poolkeeper.RecoveredAdopted
		return done, source.Adopt(ctx)
	}
	snap := r.Base()
	if snap == nil {
		return done, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "this instance has no copy to put back").
			WithHint("let an instance do it that has one, or import an export: poolkeeper import --config-dir DIR")
	}
	if r.opts.Files != nil {
		if files, err := r.opts.Files(ctx); err != nil { // which is no reason to leave all else lost
			done.Problem = "the carried files of the last snapshot cannot be read: " + err.Error()
		} else {
			for key, d := range files.Values {
				if key.Kind == poolkeeper.KindFile {
					snap.Values[key] = d
				}
			}
		}
	}
	other, err := source.Recover(ctx, snap)
	switch {
	case err != nil:
		return done, err
	case other:
		done.By = poolkeeper.RecoveredByOther
		return done, nil
	}
	done.By = poolkeeper.RecoveredByThis
	done.Pools = len(snap.Pools)
	done.Providers, done.Tokens, done.Documents, done.Files, done.Sessions = snap.Counts()
	r.opts.Logger.Warn("what the store had lost was put back from this instance", "pools", done.Pools, "providers", done.Providers)
	return done, nil
}
