package transfer

import (
	"context"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// VerifyOptions of [Verify]. A nil *VerifyOptions means all defaults.
type VerifyOptions struct {
	// ContentOnly leaves the runtime state of providers out, which moves while
	// a store is in use.
	ContentOnly bool
	// AllowExternal reads token files that providers name outside of the parent
	// of the directory.
	AllowExternal bool
	// Now is the clock by which sessions expire; time.Now where nil.
	Now func() time.Time
}

// Verify compares a directory with a store by content, see
// [configdir.CompareSnapshots]. Where they differ the error is [poolkeeper.ErrDiffers],
// and the comparison lists everything that does.
func Verify(ctx context.Context, st *poolkeeper.Store, dir string, opts *VerifyOptions) (*configdir.Comparison, error) {
	if opts == nil {
		opts = &VerifyOptions{}
	}
	now := fixed(millis(opts.Now))
	// The store answers while the directory is read.
	var (
		wg       sync.WaitGroup
		got      *poolkeeper.Snapshot
		storeErr error
	)
	reading, stop := context.WithCancel(ctx)
	wg.Go(func() { got, storeErr = st.Snapshot(reading) })
	want, _, err := configdir.ReadDir(ctx, dir, &configdir.ReadOptions{Now: now, AllowExternal: opts.AllowExternal})
	if err != nil {
		stop()
	}
	wg.Wait()
	stop()
	if err != nil {
		return nil, err
	}
	if storeErr != nil {
		return nil, poolkeeper.Annotate(storeErr, "verify", "store")
	}
	comparing := &configdir.CompareOptions{ContentOnly: opts.ContentOnly, AllowExternal: opts.AllowExternal, Dir: dir, Now: now}
	if err := configdir.AdoptIDs(want, got, nil, false, comparing); err != nil {
		return nil, poolkeeper.Annotate(err, "verify", show.Name(dir))
	}
	c, err := configdir.CompareSnapshots(want, got, comparing)
	if err != nil {
		return nil, err
	}
	return c, poolkeeper.Annotate(c.Err(), "verify", show.Name(dir))
}
