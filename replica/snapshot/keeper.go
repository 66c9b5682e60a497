package snapshot

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// KeeperOptions of [Keep]. A nil *KeeperOptions means all defaults.
type KeeperOptions struct {
	// Every is how often what has changed is written; 30 s where 0.
	Every time.Duration
	// Lag is how long a change waits while the Keeper is continuous, beside the time
	// that the writing takes; 1 s where 0.
	Lag time.Duration
	// Files returns a snapshot with all carried files. It is called when they may
	// have changed, and may fail: those of the last snapshot stay then, and it is
	// called again after Every. They stay as well where the store became another one,
	// and what is of another store than the state, by the epochs, is not taken. Where
	// nil, the snapshots have the carried files.
	Files func(ctx context.Context) (*poolkeeper.Snapshot, error)
	// Shown returns what gateway/ is to be of, without the carried files, or nil where
	// that is the state: what waits for the store is in the one, as the gateway is to
	// have it, and not in the other, as it will be laid over that again.
	Shown func(ctx context.Context) (*poolkeeper.Snapshot, error)
	// Watcher, where not nil, tells what has changed; otherwise whoever knows calls
	// [Keeper.Changed].
	Watcher poolkeeper.Watcher
	// FS is the directory, for tests that make it fail.
	FS vfs.FS
	// Logger gets what no caller can be told. It may be nil.
	Logger *slog.Logger
	// Now is the clock by which sessions expire; time.Now where nil.
	Now func() time.Time
}

// A Keeper writes snapshots into a directory: from time to time, or continuously
// while [Keeper.Continuous] is on. What fails is told by [Keeper.State], logged when
// it begins and when it ends, and tried again.
type Keeper struct {
	dir    string
	take   func(ctx context.Context) (*poolkeeper.Snapshot, error)
	opts   KeeperOptions
	ctx    context.Context // ends with the Keeper
	cancel context.CancelFunc
	done   sync.WaitGroup
	wake   chan struct{}

	work   sync.Mutex           // held by the one write
	w      *writer              // nil until the directory could be opened
	looked time.Time            // when each file was looked at
	asked  time.Time            // when the carried files were asked for
	over   *poolkeeper.Snapshot // the carried files of a snapshot that was moved away, until one has them again; else nil
	closed bool

	mu         sync.Mutex
	changed    bool
	urgent     bool // it has become continuous, and nothing was written since
	filesStale bool
	continuous bool
	state      State
	reason     string // of the problem, as it was logged
}

// State says how far a Keeper has come.
type State struct {
	// Last is the manifest of the last snapshot that is durable; nil where this
	// Keeper has found and written none.
	Last *Manifest `json:"last,omitempty"`
	// Current is when the directory was last brought up to date, or found to be so.
	Current time.Time `json:"current,omitzero"`
	// Behind says that something has changed since.
	Behind     bool   `json:"behind"`
	Continuous bool   `json:"continuous"`
	Written    uint64 `json:"written"` // snapshots
	Failed     uint64 `json:"failed"`  // attempts
	Counts     Counts `json:"counts"`
	// Problem is why the last attempt has failed, and Since when that began.
	Problem string    `json:"problem,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// FilesProblem is why the carried files are those of an earlier snapshot.
	FilesProblem string `json:"filesProblem,omitempty"`
}

// Keep returns a Keeper of a directory, which is the Keeper's alone until it is
// closed. take returns the state as it is; the Keeper does not change it, and nobody
// else may. Where it fails, or there is none (nil), the last snapshot stays.
func Keep(dir string, take func(ctx context.Context) (*poolkeeper.Snapshot, error), opts *KeeperOptions) *Keeper {
	k := &Keeper{dir: dir, take: take, wake: make(chan struct{}, 1), changed: true}
	if opts != nil {
		k.opts = *opts
	}
	if k.opts.Every <= 0 {
		k.opts.Every = 30 * time.Second
	}
	if k.opts.Lag <= 0 {
		k.opts.Lag = time.Second
	}
	if k.opts.Now == nil {
		k.opts.Now = time.Now
	}
	if k.opts.Logger == nil {
		k.opts.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	k.filesStale = k.opts.Files != nil
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.done.Go(k.loop)
	if k.opts.Watcher != nil {
		k.done.Go(k.watch)
	}
	return k
}

// Changed tells that the value of a key, or its pool, has changed. It may be called
// often, and waits for nothing.
func (k *Keeper) Changed(key poolkeeper.Key) {
	k.mu.Lock()
	was := k.changed
	k.changed = true
	k.filesStale = k.filesStale || key.Kind == poolkeeper.KindFile && k.opts.Files != nil
	k.mu.Unlock()
	if !was {
		k.poke()
	}
}

// Continuous says whether snapshots are written continuously: one at once, and then
// after each change. It waits for nothing.
func (k *Keeper) Continuous(on bool) {
	k.mu.Lock()
	began := on && !k.continuous
	k.continuous = on
	k.changed = k.changed || began // whatever was told
	k.urgent = on && (k.urgent || began)
	k.mu.Unlock()
	if began {
		k.poke()
	}
}

// Write writes a snapshot now, looks at each file for that, and waits until it is done.
func (k *Keeper) Write(ctx context.Context) error { return k.write(ctx, true) }

// State says how far it has come.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.state
	s.Behind, s.Continuous = k.changed, k.continuous
	return s
}

// closeTime is how long Close waits for the state.
const closeTime = 10 * time.Second

// Close writes a last snapshot, where something has changed, and gives up the
// directory. It returns why that could not be written.
func (k *Keeper) Close() error {
	k.cancel()
	k.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var err error
	if k.State().Behind {
		if err = k.write(ctx, false); errors.Is(err, poolkeeper.ErrClosed) {
			err = nil // it was closed before
		}
	}
	k.work.Lock()
	defer k.work.Unlock()
	if k.closed = true; k.w != nil {
		k.w.close()
		k.w = nil
	}
	return err
}

func (k *Keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}
