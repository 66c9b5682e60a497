package transfer

import (
	"context"
	"path/filepath"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// VerifyOptions of [Verify]. A nil *VerifyOptions means all defaults.
type VerifyOptions struct {
	// ContentOnly leaves the runtime state of providers out, which moves while
	// a store is in use.
	ContentOnly bool
	// Now is the clock by which sessions expire; time.Now where nil.
	Now func() time.Time
}

// Verify compares a directory with a store by content, see
// [CompareSnapshots]. Where they differ the error is [poolkeeper.ErrDiffers],
// and the comparison lists everything that does.
func Verify(ctx context.Context, st *poolkeeper.Store, dir string, opts *VerifyOptions) (*Comparison, error) {
	if opts == nil {
		opts = &VerifyOptions{}
	}
	now := clock(opts.Now)
	fixed := func() time.Time { return time.UnixMilli(now) }
	want, _, err := ReadDir(ctx, dir, &ReadOptions{Now: fixed})
	if err != nil {
		return nil, err
	}
	got, err := st.Snapshot(ctx)
	if err != nil {
		return nil, poolkeeper.Annotate(err, "verify", "store")
	}
	c, err := compare(want, got, prefixesOf(dir), now, opts.ContentOnly)
	if err != nil {
		return nil, err
	}
	return c, poolkeeper.Annotate(c.Err(), "verify", show(dir))
}

// prefixesOf makes the prefixes of a directory that was just read.
func prefixesOf(dir string) prefixes {
	t, err := newTarget(dir, true)
	if err != nil {
		return prefixes{base: filepath.Base(dir)}
	}
	return t.prefixes
}
