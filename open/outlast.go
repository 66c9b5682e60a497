package open

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/journal"
	"github.com/poolkeeper/poolkeeper/replica"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
	"github.com/poolkeeper/poolkeeper/replica/queue"
	"github.com/poolkeeper/poolkeeper/replica/snapshot"
)

// redisBackend is the store in Redis, with what lets it outlast an outage where that
// is asked for.
func redisBackend(ctx context.Context, s *settings.Settings, opts *Options) (poolkeeper.Backend, error) {
	if !opts.Outlast {
		r, err := openRedis(ctx, &s.Redis, s.Durability, nil, hooks{}, opts)
		if err != nil { // a nil *redisstore.Store must not become a Backend that is not nil
			return nil, err
		}
		return r, nil
	}
	began := time.Now()
	there, err := inspect(ctx, s, opts)
	if err != nil {
		return nil, err
	}
	wait := glance
	if there { // and takes about as long once more
		wait = max(patience, 3*time.Since(began))
	}
	o := &outlasting{dir: snapshotDir(s), opts: opts}
	base := sync.OnceValue(func() *poolkeeper.Snapshot { return standby(context.WithoutCancel(ctx), s, opts.Logger) })
	dir := JournalDir(s)
	if s.Journal.Kind == settings.JournalMemory {
		if o.held, err = alone(dir, opts.Logger); err != nil {
			return nil, err
		}
		dir = ""
	}
	log, err := backlog.Open(dir, &backlog.Options{MaxBytes: s.Journal.MaxBytes, DropOldest: s.Journal.DropOldest, Logger: opts.Logger, Now: opts.Now})
	if err != nil {
		return nil, errors.Join(err, o.release())
	}
	target := settings.RedactURL(s.Redis.URL.Reveal())
	q, err := queue.New(ctx, func(ctx context.Context) (queue.Source, error) {
		r, err := openRedis(ctx, &s.Redis, s.Durability, log, hooks{held: o.inCopy}, opts)
		if err != nil {
			return nil, err
		}
		return r, nil
	}, log, &queue.Options{
		FallbackAfter: s.FallbackAfter,
		Standby:       func() bool { return base() != nil },
		Patience:      wait,
		Describe:      poolkeeper.Info{Backend: settings.BackendRedis, Target: target},
		Turned:        o.turned,
		Logger:        opts.Logger,
		Now:           opts.Now,
	})
	if err != nil {
		return nil, errors.Join(err, log.Close(), o.release())
	}
	copied := &replica.Options{Standby: base, Now: opts.Now, Logger: opts.Logger, Files: o.files, Noticed: o.noticed}
	if mode := q.Mode(); mode != poolkeeper.ModeOnline && mode != poolkeeper.ModeReplaying {
		copied.Base = base()
	}
	if o.Replica, err = replica.Open(ctx, q, copied); err != nil {
		return nil, errors.Join(err, o.release())
	}
	o.copy.Store(o.Replica)
	o.keep()
	return o, nil
}

// alone takes the state directory for this process as a journal in it would: two would
// write one snapshot. One that cannot be written has none, and is no reason not to start.
func alone(dir string, log *slog.Logger) (io.Closer, error) {
	held, err := journal.Hold(dir)
	if err == nil || errors.Is(err, journal.ErrInUse) {
		return held, err
	}
	if log != nil {
		log.Warn("the state directory cannot be used: there will be no snapshot", "error", err)
	}
	return nil, nil
}

// inspect refuses, before anything is made, what somebody has to mend first: a Redis
// that refuses us, that holds what Poolkeeper did not write, or that is empty with
// nothing to serve meanwhile. One that is away, or is not heard for long, is none of
// that: it reports whether it is there.
func inspect(whole context.Context, s *settings.Settings, opts *Options) (there bool, err error) {
	ctx, cancel := context.WithCancel(whole)
	defer cancel()
	silence := time.AfterFunc(patience, cancel)
	defer silence.Stop()
	r, err := openRedis(ctx, &s.Redis, s.Durability, nil, hooks{heard: func() { silence.Reset(patience) }}, opts)
	if err == nil {
		_, err = r.Load(ctx, poolkeeper.TypesKey)
		err = errors.Join(err, r.Close())
	}
	switch {
	case whole.Err() != nil:
		return false, whole.Err()
	case errors.Is(err, poolkeeper.ErrUnavailable), ctx.Err() != nil:
		return false, nil
	case errors.Is(err, poolkeeper.ErrUninitialized) && standby(whole, s, nil) != nil:
		return true, nil
	}
	return true, err
}

// patience is how long the start hears nothing of Redis, whatever its timeouts are,
// before it goes on without it. One that answers, if slowly, is waited for.
var patience = 400 * time.Millisecond

// glance is how long one that was not there is looked at once more, for the reason.
const glance = 50 * time.Millisecond

// standby is what is served until Redis is: the last snapshot of it, else the
// directory of the gateway. Nil where there is none. What cannot be read is none
// either, and that is said: it is Redis that is to be served.
func standby(ctx context.Context, s *settings.Settings, log *slog.Logger) *poolkeeper.Snapshot {
	if log == nil {
		log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	dir := snapshotDir(s)
	snap, m, err := snapshot.Load(ctx, dir)
	switch {
	case err == nil:
		if len(m.Damage) > 0 {
			log.Error("the last snapshot is damaged in part", "dir", dir, "damage", m.Damage)
		}
		log.Warn("the last snapshot is served until Redis is", "dir", dir, "written", m.Time().UTC().Format(time.RFC3339))
		return snap
	case !errors.Is(err, poolkeeper.ErrNotFound):
		log.Error("the last snapshot cannot be read", "dir", dir, "error", err)
	}
	return directory(ctx, s, log)
}

func directory(ctx context.Context, s *settings.Settings, log *slog.Logger) *poolkeeper.Snapshot {
	snap, report, err := configdir.ReadDir(ctx, s.ConfigDir, nil)
	if err != nil || report.Scanned == 0 {
		if err != nil {
			log.Warn("the directory cannot be served in place of Redis", "dir", s.ConfigDir, "error", err)
		}
		return nil
	}
	log.Warn("the directory is served until Redis is", "dir", s.ConfigDir)
	return snap
}
