// Package replica keeps a copy of a store in memory, from which it serves reads
// without asking the store: see [Replica] for what a reader may rely on, and
// docs/decisions/0022 for how and why.
//
// Into the copy leads one way. The source is watched; a change goes on top of the
// revision that it continues, and where one is missing the pool is loaded. What
// follows a source is in follow.go, pools in pool.go, values in values.go, reads
// in load.go, writes in apply.go.
package replica

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/feed"
)

// A Source is a store that can be copied: a Backend that tells of its changes.
type Source interface {
	poolkeeper.Backend
	poolkeeper.Watcher
}

// Options of a Replica. A nil *Options means all defaults.
type Options struct {
	// Now is the clock by which sessions and old ids end; time.Now where nil.
	Now func() time.Time
	// Logger gets what no caller can be told. It may be nil.
	Logger *slog.Logger
	// CheckEvery is how often the copy is compared with the store, to find what
	// no change told of; 30 s where 0.
	CheckEvery time.Duration
	// Base is what the copy is until the source was heard: the last snapshot of it,
	// or what is to be served while the source is empty. The Replica keeps it.
	Base *poolkeeper.Snapshot
	// Standby returns what the copy is to be where there is no Base, and the source
	// goes away before a copy of it was made. It is asked then, and may be nil or
	// return that. What is of another store than the one that was there is not taken.
	Standby func() *poolkeeper.Snapshot
	// Patience is how long Open waits for the source where there is a Base, 300 ms
	// where 0.
	Patience time.Duration
	// Files returns a snapshot with the carried files, which the copy does not have,
	// for Recover. It may be nil.
	Files func(ctx context.Context) (*poolkeeper.Snapshot, error)
	// Noticed is called for each key that readers see otherwise from then on, and for
	// that of all carried files once changes are told again, or of another store. It must
	// not use the Replica, and may be nil.
	Noticed func(poolkeeper.Key)
}

// A Replica is a [poolkeeper.Backend] over another one. Reads come from a copy
// of everything but the carried files, writes go to the source. The copy follows
// the changes that the source tells of, by whatever instance.
//
// What readers may rely on:
//
//   - What was written through this Replica is read through it by Load, once the
//     write was answered, and so is what it was refused for. [Replica.View], which
//     waits for nothing, has edits by then, and traffic a moment later.
//   - What was read is never followed by something older.
//   - What others write is read a moment later, about as long as it takes to be
//     told. While the source cannot be heard the copy stays as it is, and says
//     since when: reads neither wait, nor fail, nor turn empty.
//   - A pool, definition or value is whole.
//
// What is asked of the source all the same: carried files; a provider that the
// copy does not have, which may be known by an old id; the facts about the store
// (Info, and the meta key as long as the source is there); everything, as long as
// the copy has not been made, as of a store that is not initialised. A source that
// goes away before that leaves the Standby to be the copy.
type Replica struct {
	source Source
	opts   Options
	ctx    context.Context // ends with the Replica
	cancel context.CancelFunc
	work   sync.WaitGroup
	closed atomic.Bool
	poke   chan struct{} // holds a token where the source is to be tried at once
	over   overlays      // what waits for the store
	counts counts

	view   atomic.Pointer[poolkeeper.View] // nil until everything was loaded
	pools  atomic.Pointer[map[string]*followed]
	values values
	meta   atomic.Pointer[map[string]string]
	// following says that there is a copy, or that one is being made.
	following atomic.Bool
	tried     bool   // once it was found out whether the source can be heard; guarded by mu
	standing  bool   // the Standby is asked; guarded by mu
	stood     bool   // it was asked; guarded by mu
	epoch     string // of the store that the copy is of; guarded by mu

	mu        sync.Mutex
	types     []string
	up        bool   // changes are told
	turn      uint64 // of the watch
	surveying bool   // all is compared with the source, or loaded
	copied    bool   // the copy is of nothing but the store that has the epoch
	loading   int    // pools that are being loaded
	asked     map[poolkeeper.Key]*ask
	asking    bool                         // a goroutine loads what is asked
	owed      map[poolkeeper.Key]bool      // what is loaded when changes begin to be told, and was not yet
	failing   map[poolkeeper.Key]bool      // what could not be loaded
	older     map[poolkeeper.Key]time.Time // of what the store has something older, and since when
	names     names
	since     time.Time
	trouble   error         // why changes are not told, or something was not loaded
	said      bool          // so in the log
	brooding  bool          // whether to say it
	attempt   chan struct{} // closed when the copy is made, or could not be: then there is another one
	listeners map[*feed.Queue[poolkeeper.Change]]struct{}
}

var (
	_ poolkeeper.Backend      = (*Replica)(nil)
	_ poolkeeper.Watcher      = (*Replica)(nil)
	_ poolkeeper.Viewer       = (*Replica)(nil)
	_ poolkeeper.ImportMarker = (*Replica)(nil)
	_ poolkeeper.Meter        = (*Replica)(nil)
)

// Open returns a Replica of a source, which it then owns. It waits until the copy
// is made, or cannot be made for now: until it is, reads go to the source, or where
// there is a Base, it is the copy. The
// context covers the opening only; when it ends first, the source is closed.
func Open(ctx context.Context, source Source, opts *Options) (*Replica, error) {
	r := &Replica{
		source: source, poke: make(chan struct{}, 1), attempt: make(chan struct{}),
		asked: map[poolkeeper.Key]*ask{}, owed: map[poolkeeper.Key]bool{}, failing: map[poolkeeper.Key]bool{}, older: map[poolkeeper.Key]time.Time{},
		listeners: map[*feed.Queue[poolkeeper.Change]]struct{}{},
	}
	if opts != nil {
		r.opts = *opts
	}
	if r.opts.Now == nil {
		r.opts.Now = time.Now
	}
	if r.opts.Logger == nil {
		r.opts.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if r.opts.CheckEvery <= 0 {
		r.opts.CheckEvery = 30 * time.Second
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.pools.Store(&map[string]*followed{})
	r.since = r.opts.Now()
	first := r.attempt
	r.observe()
	var late <-chan time.Time
	if r.opts.Base != nil {
		r.mu.Lock()
		r.begun(r.opts.Base)
		r.mu.Unlock()
		if r.opts.Patience <= 0 {
			r.opts.Patience = 300 * time.Millisecond
		}
		late = time.After(r.opts.Patience)
	}
	r.work.Go(r.follow)
	r.work.Go(r.checkNowAndThen)
	select {
	case <-first:
		return r, nil
	case <-late:
		return r, nil
	case <-ctx.Done():
		r.Close()
		return nil, ctx.Err()
	}
}

// Close ends the copying and closes the source.
func (r *Replica) Close() error {
	r.closed.Store(true)
	r.cancel()
	err := r.source.Close()
	r.work.Wait()
	return err
}

// View implements poolkeeper.Viewer.
func (r *Replica) View() *poolkeeper.View {
	if r.closed.Load() {
		return nil
	}
	return r.view.Load()
}

// Restore implements poolkeeper.Backend. The copy is made before it returns.
func (r *Replica) Restore(ctx context.Context, snap *poolkeeper.Snapshot) error {
	err := r.source.Restore(ctx, snap)
	if err == nil {
		r.made(ctx)
	}
	return err
}

// made waits until the copy is made, where nothing seems to keep it from that.
func (r *Replica) made(ctx context.Context) {
	for range 2 { // an attempt may be under way that began too early
		if r.view.Load() != nil || r.closed.Load() || ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		attempt := r.attempt
		r.mu.Unlock()
		r.hurry()
		select {
		case <-attempt:
		case <-ctx.Done():
		case <-r.ctx.Done():
		}
	}
}

// MarkImport implements poolkeeper.ImportMarker, where the source does.
func (r *Replica) MarkImport(ctx context.Context, run string, unfinished bool) error {
	marker, ok := r.source.(poolkeeper.ImportMarker)
	if !ok {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "this store keeps no mark of an unfinished import")
	}
	return marker.MarkImport(ctx, run, unfinished)
}

// spawn runs fn on a goroutine of its own, unless the Replica was closed. The
// mutex is held: whoever closes waits for those that were begun before.
func (r *Replica) spawn(fn func()) {
	if r.ctx.Err() == nil {
		r.work.Go(fn)
	}
}

// hurry lets the source be tried now, and not when it is due.
func (r *Replica) hurry() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// sleep waits for a time, and returns false where the Replica was closed.
func (r *Replica) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.ctx.Done():
		return false
	}
}

func isOutage(err error) bool { return errors.Is(err, poolkeeper.ErrUnavailable) }
