package snapshot

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A pace is what the next write is due by.
type pace struct {
	began, ended time.Time // of the last one
	failures     int       // since the last one that did not fail
}

// loop writes when it is due.
func (k *Keeper) loop() {
	var p pace
	for {
		wait, ever := k.due(&p)
		if !ever || wait > 0 {
			var due <-chan time.Time
			if ever {
				due = time.After(wait)
			}
			select {
			case <-k.ctx.Done():
				return
			case <-k.wake:
			case <-due:
			}
			continue
		}
		if k.ctx.Err() != nil {
			return
		}
		p.began = time.Now()
		if err := k.write(k.ctx, false); err != nil {
			p.failures++
		} else {
			p.failures = 0
		}
		p.ended = time.Now()
	}
}

// due says how long the next write waits, if there is something for it.
func (k *Keeper) due(p *pace) (wait time.Duration, ever bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	took := p.ended.Sub(p.began)
	switch {
	case !k.changed && !k.filesStale:
		return 0, false
	case k.urgent:
		return 0, true
	case p.failures > 0:
		return time.Until(p.ended.Add(min(k.opts.Every, k.opts.Lag<<min(p.failures-1, 20)))), true
	case k.continuous && k.changed:
		return time.Until(p.ended.Add(max(k.opts.Lag, 2*took))), true
	}
	return time.Until(p.began.Add(max(k.opts.Every, 10*took))), true
}

// write writes what is there now. all has each file looked at, whenever that was
// done last.
func (k *Keeper) write(ctx context.Context, all bool) error {
	k.work.Lock()
	defer k.work.Unlock()
	if k.closed {
		return poolkeeper.Errorf(poolkeeper.ErrClosed, "the keeper of snapshots is closed")
	}
	k.mu.Lock()
	files := k.filesStale
	k.changed, k.urgent, k.filesStale = false, false, false
	k.mu.Unlock()
	written, files, err := k.attempt(ctx, all, files)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.filesStale = k.filesStale || files; k.filesStale {
		k.poke() // the loop may wait for nothing, where it was not the one that wrote
	}
	k.changed = k.changed || err != nil
	if k.w != nil {
		k.state.Last, k.state.Counts = k.w.last, k.w.counts
	}
	if err != nil {
		k.failed(err)
		return err
	}
	if k.state.Current = k.opts.Now(); written {
		k.state.Written++
	}
	if k.state.Problem != "" {
		k.opts.Logger.Info("snapshots are written again", "dir", k.dir)
		k.state.Problem, k.state.Since, k.reason = "", time.Time{}, ""
	}
	return nil
}

// failed takes note of an attempt that has failed. It logs each reason once.
func (k *Keeper) failed(err error) {
	if k.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return // it is closed
	}
	k.state.Failed++
	if k.state.Problem == "" {
		k.state.Since = k.opts.Now()
	}
	k.state.Problem = err.Error()
	// Which file it is that a full disk has no room for does not matter.
	reason := k.state.Problem
	var known *poolkeeper.Error
	if errors.As(err, &known) {
		reason = known.Detail + ": " + known.Err.Error()
	}
	if k.reason != reason {
		k.opts.Logger.Error("no snapshot can be written: the last one stays", "dir", k.dir, "error", err)
		k.reason = reason
	}
}

// attempt takes the state and writes it. stale says that the carried files are still
// to be asked for.
func (k *Keeper) attempt(ctx context.Context, all, files bool) (written, stale bool, err error) {
	if k.w == nil {
		if k.w, err = openWriter(k.dir, &WriteOptions{FS: k.opts.FS, Logger: k.opts.Logger, Now: k.opts.Now}); err != nil {
			return false, files, err
		}
	}
	snap, err := k.take(ctx)
	if err != nil {
		return false, files, poolkeeper.Annotate(err, "write", "snapshot")
	}
	if snap == nil {
		return false, files, nil
	}
	var shown *poolkeeper.Snapshot
	if k.opts.Shown != nil {
		if shown, err = k.opts.Shown(ctx); err != nil {
			return false, files, poolkeeper.Annotate(err, "write", "snapshot")
		}
	}
	keep := k.opts.Files != nil
	anew := keep && k.w.replaces(snap.Meta["epoch"])
	if anew {
		files = true
		if err := k.carryOver(ctx); err != nil {
			return false, files, err
		}
	}
	var carried *poolkeeper.Snapshot
	if files && (anew || time.Since(k.asked) >= k.opts.Every/2) {
		carried = k.carried(ctx, snap.Meta["epoch"])
		files = carried == nil
	}
	if carried == nil {
		carried = k.over
	}
	if carried != nil {
		snap, keep = withFiles(snap, carried), false
		if shown != nil {
			shown = withFiles(shown, carried)
		}
	}
	now := time.Now()
	all = all || now.Sub(k.looked) >= k.opts.Every
	k.w.shown = shown
	if written, err = k.w.write(ctx, snap, keep, all); err != nil {
		return false, k.opts.Files != nil, err // they are not written either
	}
	if k.over = nil; all {
		k.looked = now
	}
	return written, files, nil
}

// carryOver reads the carried files of the last snapshot, which is about to be moved
// away: a store that was put back has them, and may not be there to be asked.
func (k *Keeper) carryOver(ctx context.Context) error {
	old, err := filesIn(ctx, k.w.fs, k.dir)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		k.opts.Logger.Warn("carried files of the last snapshot cannot be read, and are asked of the store only", "dir", k.dir, "error", err)
	}
	if k.over == nil || err == nil { // else the move was cut off
		k.over = old
	}
	return nil
}

// carried asks for the carried files of the store of an epoch; nil where they cannot
// be had.
func (k *Keeper) carried(ctx context.Context, epoch string) *poolkeeper.Snapshot {
	k.asked = time.Now()
	snap, err := k.opts.Files(ctx)
	if err == nil && snap.Meta["epoch"] != "" && snap.Meta["epoch"] != epoch {
		err = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "they are of another store than the state")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state.FilesProblem = ""; err != nil {
		k.state.FilesProblem = err.Error()
		return nil
	}
	return snap
}

// withFiles is a snapshot with the carried files of another one.
func withFiles(snap, carried *poolkeeper.Snapshot) *poolkeeper.Snapshot {
	next := *withoutFiles(snap)
	next.Values = maps.Clone(next.Values)
	if next.Values == nil {
		next.Values = map[poolkeeper.Key]poolkeeper.Document{}
	}
	for key, d := range carried.Values {
		if key.Kind == poolkeeper.KindFile {
			next.Values[key] = d
		}
	}
	return &next
}

// watch follows what the Watcher tells.
func (k *Keeper) watch() {
	for k.ctx.Err() == nil {
		_ = k.opts.Watcher.Watch(k.ctx, func(c poolkeeper.Change) {
			if c.Kind != poolkeeper.ChangeReady {
				k.Changed(c.Key)
				return
			}
			// What came before it was not told.
			k.Changed(poolkeeper.Key{Kind: poolkeeper.KindFile})
		})
		select {
		case <-k.ctx.Done():
		case <-time.After(k.opts.Lag):
		}
	}
}
