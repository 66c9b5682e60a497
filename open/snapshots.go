package open

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/replica"
	"github.com/poolkeeper/poolkeeper/replica/snapshot"
)

// snapshotDir is where the last snapshot of a Redis is: a place of its own for each.
func snapshotDir(s *settings.Settings) string {
	place, err := Place(s)
	if err != nil {
		place = "?"
	}
	return filepath.Join(s.StateDir, "snapshot", poolkeeper.ETag([]byte(place))[:16])
}

// FallbackDir is the configs/ directory with the last snapshot of the Redis of the
// settings, whether or not one was written.
func FallbackDir(s *settings.Settings) string { return snapshot.ConfigDir(snapshotDir(s)) }

// An outlasting backend keeps snapshots of what it serves.
type outlasting struct {
	*replica.Replica
	dir  string
	opts *Options
	held io.Closer // the state directory, where no journal in it is; nil where one is
	copy atomic.Pointer[replica.Replica]

	mu     sync.Mutex
	keeper *snapshot.Keeper // nil until the copy is made
	mode   poolkeeper.Mode
	closed bool
}

// inCopy is what the copy has of a key that Redis has lost.
func (o *outlasting) inCopy(key poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	if r := o.copy.Load(); r != nil {
		return r.Held(key)
	}
	return nil, nil
}

// keep begins to write snapshots.
func (o *outlasting) keep() {
	k := snapshot.Keep(o.dir, o.take, &snapshot.KeeperOptions{
		Files:  o.carried,
		Shown:  o.Shown,
		Every:  o.opts.SnapshotEvery,
		Logger: o.opts.Logger,
		Now:    o.opts.Now,
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keeper = k
	k.Continuous(continuous(o.mode))
}

// continuous reports whether what is served is to be on the disk all the time.
func continuous(m poolkeeper.Mode) bool {
	return m == poolkeeper.ModeFallback || m == poolkeeper.ModeLost
}

func (o *outlasting) turned(from, to poolkeeper.Mode) {
	o.mu.Lock()
	o.mode = to
	if o.keeper != nil {
		o.keeper.Continuous(continuous(to))
	}
	o.mu.Unlock()
	if o.opts.Turned != nil {
		o.opts.Turned(from, to)
	}
}

func (o *outlasting) noticed(key poolkeeper.Key) {
	o.mu.Lock()
	k := o.keeper
	o.mu.Unlock()
	if k != nil {
		k.Changed(key)
	}
}

// take waits for the copy: before there is one, there is nothing to be written, and
// nothing at the end of a store that never had one.
func (o *outlasting) take(ctx context.Context) (*poolkeeper.Snapshot, error) {
	for {
		if snap := o.Base(); snap != nil {
			return snap, nil
		}
		o.mu.Lock()
		closed := o.closed
		o.mu.Unlock()
		if closed {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// carried reads the carried files from Redis, which the copy does not have,
// and of which store they are.
func (o *outlasting) carried(ctx context.Context) (*poolkeeper.Snapshot, error) {
	return o.Load(poolkeeper.ReadCurrent(ctx), poolkeeper.MetaKey, poolkeeper.Key{Kind: poolkeeper.KindFile})
}

// files are the carried files of the last snapshot.
func (o *outlasting) files(ctx context.Context) (*poolkeeper.Snapshot, error) {
	snap, err := snapshot.Files(ctx, o.dir)
	if errors.Is(err, poolkeeper.ErrNotFound) {
		return poolkeeper.NewSnapshot(), nil
	}
	return snap, err
}

// Info implements poolkeeper.Backend.
func (o *outlasting) Info(ctx context.Context) (poolkeeper.Info, error) {
	info, err := o.Replica.Info(ctx)
	if err != nil {
		return info, err
	}
	o.mu.Lock()
	k := o.keeper
	o.mu.Unlock()
	if k == nil {
		return info, nil
	}
	st := k.State()
	if st.Last != nil {
		info.Details["snapshot"] = "of " + st.Last.Time().UTC().Format(time.RFC3339) + " in " + snapshot.ConfigDir(o.dir)
	}
	if st.Problem != "" {
		info.Warnings = append(info.Warnings, "no snapshot can be written since "+st.Since.UTC().Format(time.RFC3339)+": "+st.Problem)
	}
	return info, nil
}

// Close implements poolkeeper.Backend.
func (o *outlasting) Close() error {
	o.mu.Lock()
	k := o.keeper
	o.keeper, o.closed = nil, true
	o.mu.Unlock()
	var err error
	if k != nil {
		err = k.Close()
	}
	return errors.Join(err, o.Replica.Close(), o.release())
}

// release gives the state directory back.
func (o *outlasting) release() error {
	if o.held == nil {
		return nil
	}
	return o.held.Close()
}
