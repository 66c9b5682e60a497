package configdir

import (
	"context"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// WriteOptions of [WriteDir]. A nil *WriteOptions means all defaults.
type WriteOptions struct {
	// Force writes into a directory that is not empty: each file is replaced
	// whole, and what the snapshot does not have stays.
	Force bool
	// AllowExternal writes tokens that have only paths outside of the parent of
	// the directory there. Without it they get a place in the directory, which
	// their providers then name.
	AllowExternal bool
	// DryRun checks everything, and writes nothing.
	DryRun bool
	// Progress, where not nil, is called with how many files of how many are
	// written; one call at a time.
	Progress func(done, total int)
	// Now is the clock by which sessions expire; time.Now where nil.
	Now func() time.Time
}

// WriteDir makes a configs/ directory of a snapshot, on which the gateway can
// start. The directory must not exist, or be empty; token files that lie
// beside it in its parent must not exist, or be the same.
//
// Definitions are written with the runtime state laid over them, and the live
// sessions into token-store.json; everything else is written as it is. Each
// file is complete or not there, with mode 0600, or with mode and owner of the
// file that it replaces; config.json is written last, after the pools, after
// everything that they refer to. Nothing is written
// outside of the parent of the directory, save for tokens with AllowExternal, and
// nothing through links that leave it.
//
// Everything is checked before anything is written: [poolkeeper.ErrExists]
// where two things want one path or the directory is not empty,
// [poolkeeper.ErrInvalid] for what cannot be a file. The report lists what was
// given a place of its own, each file that was written or replaced, and with Force
// what the directory has beside them, which stays.
func WriteDir(ctx context.Context, dir string, snap *poolkeeper.Snapshot, opts *WriteOptions) (*Report, error) {
	if opts == nil {
		opts = &WriteOptions{}
	}
	t, err := newTarget(dir, opts.Force)
	if err != nil {
		return nil, err
	}
	l, err := layOut(snap, t.prefixes, clock(opts.Now), opts.AllowExternal, false)
	if err != nil {
		return nil, err
	}
	pools, err := l.poolsDocument()
	if err != nil {
		return nil, err
	}
	l.files[poolsFile] = File{poolkeeper.PoolsKey, pools}
	if err := t.open(false); err != nil {
		return nil, err
	}
	defer t.close()
	steps := l.steps(t.prefixes)
	if err := t.check(l.files); err != nil {
		return nil, err
	}
	if err := t.checkSteps(steps); err != nil {
		return nil, err
	}
	if err := t.list(l.files, l.report); err != nil {
		return nil, err
	}
	l.report.finish()
	if opts.DryRun {
		return l.report, ctx.Err()
	}
	if err := t.open(true); err != nil {
		return nil, err
	}
	t.progress = opts.Progress
	return l.report, t.write(ctx, l.files, steps)
}

// poolsDocument is provider_pools.json.
func (l *layout) poolsDocument() ([]byte, error) {
	pools := make([]typedPool, 0, len(l.types))
	for _, typ := range l.types {
		p, err := effective(l.pools[typ])
		if err != nil {
			return nil, err
		}
		pools = append(pools, p)
	}
	return formatPools(pools)
}
