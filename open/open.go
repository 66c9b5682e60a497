// Package open makes a Store of settings. It is the only package that names
// all backends.
package open

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// Options of Store. A nil *Options means all defaults.
type Options struct {
	// Logger gets what no caller can be told. It may be nil.
	Logger *slog.Logger
	// Now is the clock; time.Now where nil.
	Now func() time.Time
	// Outlast goes on while Redis is away, for programs that go on running: reads
	// come from a copy in memory, see [replica.Replica], and what can wait is queued
	// in a journal in the state directory, which one process has at a time, see
	// [queue.Queue]. Then Redis need not be there, nor initialised where the directory
	// of the gateway can be served meanwhile.
	Outlast bool
	// SnapshotEvery is how often the last snapshot is brought up to date while Redis is
	// there, 30 s where 0.
	SnapshotEvery time.Duration
	// Turned is called for each transition to another mode, where there are such.
	Turned func(from, to poolkeeper.Mode)
}

// Store opens the store that the settings name. One in memory is not
// initialised: whoever opens it restores into it what it is to hold. The
// context covers the opening only.
//
// Errors: what [settings.Settings.Check] reports; poolkeeper.ErrUnavailable
// where Redis cannot be reached, or another process has the directory; those of
// [filestore.Open]. A store that is not initialised, or foreign,
// opens; its ops say so.
func Store(ctx context.Context, s *settings.Settings, opts *Options) (*poolkeeper.Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	var b poolkeeper.Backend
	var err error
	switch s.Backend {
	case settings.BackendMemory:
		b = memstore.New(&memstore.Options{Now: opts.Now})
	case settings.BackendFile:
		b, err = openFile(ctx, s, opts)
	case settings.BackendRedis:
		b, err = redisBackend(ctx, s, opts)
	default:
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "unknown backend %q", s.Backend).WithHint("it is %s, %s or %s", settings.BackendRedis, settings.BackendFile, settings.BackendMemory)
	}
	if err != nil {
		return nil, err
	}
	return poolkeeper.New(b, &poolkeeper.Options{Now: opts.Now}), nil
}

// openFile opens the directory of the gateway. What the files cannot hold is in
// the state directory, under a name of its own for each directory.
func openFile(ctx context.Context, s *settings.Settings, opts *Options) (poolkeeper.Backend, error) {
	state, err := fileState(s)
	if err != nil {
		return nil, err
	}
	b, err := filestore.Open(ctx, s.ConfigDir, &filestore.Options{
		StateDir: state,
		Logger:   opts.Logger,
		Now:      opts.Now,
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

func fileState(s *settings.Settings) (string, error) {
	full, err := realPath(s.ConfigDir)
	if err != nil {
		return "", err
	}
	state, err := filepath.Abs(s.StateDir)
	if err != nil {
		return "", poolkeeper.Errorf(poolkeeper.ErrInvalid, "%v", err)
	}
	return filepath.Join(state, "files", poolkeeper.ETag([]byte(full))[:16]), nil
}

// Begun reports whether the directory of a gateway was opened as a store before.
// Until then all that it holds is in its files, and whoever only reads need not
// open it.
func Begun(s *settings.Settings) bool {
	state, err := fileState(s)
	return err == nil && filestore.Begun(state)
}

// JournalDir is where the journal is: that of the directory, where it was opened
// as a store, else that of the state directory.
func JournalDir(s *settings.Settings) string {
	if state, err := fileState(s); err == nil && s.Backend == settings.BackendFile && filestore.Begun(state) {
		return filepath.Join(state, "journal")
	}
	return filepath.Join(s.StateDir, "journal")
}

// Place names the store that the settings are: the same text for the same store,
// and no secret. Two names of one Redis are two texts.
func Place(s *settings.Settings) (string, error) {
	if s.Backend == settings.BackendRedis {
		return redisstore.Place(s.Redis.URL.Reveal(), s.Redis.KeyPrefix)
	}
	dir, err := realPath(s.ConfigDir)
	return s.Backend + " " + dir, err
}

// realPath is a path from the root, without links where it exists.
func realPath(path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", poolkeeper.Errorf(poolkeeper.ErrInvalid, "%v", err)
	}
	if real, err := filepath.EvalSymlinks(full); err == nil {
		full = real
	}
	return full, nil
}

// hooks are what the store in Redis calls: when it hears something, and for what this
// instance has of a key that Redis has lost.
type hooks struct {
	heard func()
	held  func(poolkeeper.Key) (*poolkeeper.Snapshot, error)
}

func openRedis(ctx context.Context, r *settings.Redis, durability string, spool poolkeeper.Spool, hooks hooks, opts *Options) (*redisstore.Store, error) {
	secure, err := r.TLS.Config()
	if err != nil {
		return nil, err
	}
	return redisstore.Open(ctx, r.URL.Reveal(), &redisstore.Options{
		Prefix:           r.KeyPrefix,
		Username:         r.Username,
		Password:         r.Password.Reveal(),
		SentinelUsername: r.SentinelUsername,
		SentinelPassword: r.SentinelPassword.Reveal(),
		TLS:              secure,
		ConnectTimeout:   r.ConnectTimeout,
		CommandTimeout:   r.CommandTimeout,
		Durability:       redisstore.Durability(durability),
		Spool:            spool,
		Heard:            hooks.heard,
		Held:             hooks.held,
		Logger:           opts.Logger,
		Now:              opts.Now,
	})
}
