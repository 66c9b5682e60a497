package filestore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/journal"
	"github.com/poolkeeper/poolkeeper/memstore"
)

var (
	_ poolkeeper.Backend = (*Store)(nil)
	_ poolkeeper.Flusher = (*Store)(nil)
)

// Defaults.
const (
	DefaultLag  = time.Second
	DefaultPoll = 2 * time.Second
)

// Options of a Store. A nil *Options means all defaults.
type Options struct {
	// StateDir keeps what the files cannot hold, for this directory alone. Where
	// it is empty it is .poolkeeper in the parent of the directory.
	StateDir string
	// Lag is how long after a change the files are rewritten, at most, the time
	// for the writing not counted. Under steady load there is a pause of at
	// least twice that time between two rewritings.
	Lag time.Duration
	// Poll is how often the directory is looked at for edits by others. Where a
	// look takes long, it is done less often.
	Poll time.Duration
	// JournalMaxBytes bounds the journal; [journal.DefaultMaxBytes] where 0.
	JournalMaxBytes int64
	// Logger gets what no caller can be told. It may be nil.
	Logger *slog.Logger
	// Now is the clock; time.Now where nil.
	Now func() time.Time
	// OpenFS opens a directory, for tests that make it fail.
	OpenFS func(dir string) (vfs.FS, error)
}

// A Store is a [poolkeeper.Backend] on a configs/ directory.
type Store struct {
	dir    string // absolute
	opts   Options
	now    func() time.Time
	log    *slog.Logger
	writer string
	gates  gates

	// life is held by whoever uses the store, and by Close for itself.
	life   sync.RWMutex
	closed bool
	core   atomic.Pointer[memstore.Store] // nil until the store is initialised

	// order is held while ops are committed, and while the state is looked at as
	// that after one record.
	order sync.Mutex
	seq   uint64 // of the last record that is in the state

	// What follows is nil until the directory exists.
	lock    vfs.File
	tree    *tree
	state   vfs.FS
	journal *journal.Journal

	// work is held by whoever writes files or merges what others wrote.
	work       sync.Mutex
	base       *base
	intent     *intent   // of checkpoints that have not come to their end
	wrote      bool      // the last of them has written something
	unfinished *intent   // of a Restore that was cut off
	start      *replayed // until the files of a start are merged
	seen       map[string]stamp
	stale      bool // an edit by others, or one that was merged, needs a checkpoint

	report  report
	drafted func() // of a test: called before the gates of a group

	dirty chan struct{}
	stop  chan struct{}
	done  chan struct{}
}

// base is the state as of the last checkpoint, and the files that go with it.
type base struct {
	seq      uint64
	at       int64
	image    *memstore.Image
	files    map[string]configdir.File
	pools    string // hash of provider_pools.json as it lies there
	rendered string // hash of what the image makes of it
	sections *sections
}

// Open opens the store of a configs/ directory. One that does not exist, or is
// empty, is not initialised: Restore makes it. In any other the files are what
// the store has, together with the state directory and its journal.
//
// Errors: [poolkeeper.ErrUnavailable] where another process has the directory,
// or the disk fails; [poolkeeper.ErrForbidden] where it may not be written;
// [poolkeeper.ErrDamaged] where journal or checkpoint are; those of
// [configdir.ReadDir] for a directory that was never opened before. The context
// covers the opening only.
func Open(ctx context.Context, dir string, opts *Options) (*Store, error) {
	s := &Store{
		now: time.Now, writer: randomHex(8),
		dirty: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Now != nil {
		s.now = s.opts.Now
	}
	if s.log = s.opts.Logger; s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.opts.Lag <= 0 {
		s.opts.Lag = DefaultLag
	}
	if s.opts.Poll <= 0 {
		s.opts.Poll = DefaultPoll
	}
	if s.opts.OpenFS == nil {
		s.opts.OpenFS = vfs.Open
	}
	s.gates.seed = maphashSeed()
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%v", err)
	}
	if s.dir = full; filepath.Dir(full) == full {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s has no parent, where the gateway would run", full)
	}
	if s.opts.StateDir == "" {
		s.opts.StateDir = filepath.Join(filepath.Dir(full), ".poolkeeper")
	}
	if info, err := os.Stat(full); errors.Is(err, fs.ErrNotExist) {
		go s.loop()
		return s, nil
	} else if err != nil {
		return nil, s.failure("open", err)
	} else if !info.IsDir() {
		return nil, poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrInvalid, "it is not a directory"), "open", full)
	}
	s.work.Lock()
	defer s.work.Unlock()
	if err := s.attach(ctx); err != nil {
		s.release()
		return nil, err
	}
	go s.loop()
	return s, nil
}

// attach takes the directory for this process and loads what it holds. It is
// called with the work held.
func (s *Store) attach(ctx context.Context) error {
	if !Begun(s.opts.StateDir) {
		// What cannot be taken is refused before anything is made.
		if _, _, err := configdir.ReadDir(ctx, s.dir, &configdir.ReadOptions{Now: s.now}); err != nil {
			return err
		}
	}
	if err := s.hold(); err != nil {
		return err
	}
	var err error
	if s.tree, err = openTree(s.dir, s.opts.OpenFS); err != nil {
		return s.failure("open", err)
	}
	if err := os.MkdirAll(filepath.Join(s.opts.StateDir, "journal"), 0o700); err != nil {
		return s.failure("make", err)
	}
	if s.state, err = s.opts.OpenFS(s.opts.StateDir); err != nil {
		return s.failure("open", err)
	}
	jfs, err := s.opts.OpenFS(filepath.Join(s.opts.StateDir, "journal"))
	if err != nil {
		return s.failure("open", err)
	}
	if s.journal, err = journal.Open(filepath.Join(s.opts.StateDir, "journal"), &journal.Options{FS: jfs, MaxBytes: s.opts.JournalMaxBytes}); err != nil {
		return err
	}
	return s.load(ctx)
}

// failure makes an error of the file system one of the closed set.
func (s *Store) failure(action string, err error) error {
	var own *poolkeeper.Error
	if err == nil || errors.As(err, &own) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	sentinel, hint := poolkeeper.ErrUnavailable, "check the disk, and that it is not full"
	if errors.Is(err, fs.ErrPermission) {
		sentinel, hint = poolkeeper.ErrForbidden, "the directory, its files and the state directory must be writable for this user"
	}
	return poolkeeper.Annotate(poolkeeper.Errorf(sentinel, "%v", err).WithHint("%s", hint), action, s.dir)
}

func (s *Store) uninitialised() error {
	return poolkeeper.Errorf(poolkeeper.ErrUninitialized, "there is nothing in %s", s.dir).
		WithHint("name the configs/ directory of a gateway, or make one with: poolkeeper init")
}

// Info describes the store.
func (s *Store) Info(ctx context.Context) (poolkeeper.Info, error) {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return poolkeeper.Info{}, s.usable(context.Background())
	}
	if ctx.Err() != nil {
		return poolkeeper.Info{}, ctx.Err()
	}
	info := poolkeeper.Info{Backend: "file", Target: s.dir, Writer: s.writer, Details: map[string]string{"state directory": s.opts.StateDir}}
	core := s.core.Load()
	s.report.describe(&info)
	if core == nil {
		info.Problem = s.uninitialised().Error()
		info.Importing = s.report.unfinished()
		return info, nil
	}
	got, err := core.Info(ctx)
	if err != nil {
		return poolkeeper.Info{}, err
	}
	info.Ready, info.Epoch, info.Importing = got.Ready, got.Epoch, got.Importing
	maps.Copy(info.Details, got.Details)
	info.Warnings = append(info.Warnings, got.Warnings...)
	info.Details["journal bytes"] = strconv.FormatInt(s.journal.Size(), 10)
	return info, nil
}

// Close ends the store after the ops under way, with a last checkpoint: the
// files are then what the state is. Where that fails the error says so, and
// nothing is lost: the journal has it.
func (s *Store) Close() error {
	s.life.Lock()
	if s.closed {
		s.life.Unlock()
		return nil
	}
	s.closed = true
	s.life.Unlock()
	close(s.stop)
	<-s.done
	s.work.Lock()
	defer s.work.Unlock()
	err := s.bring(context.Background())
	s.release()
	return err
}

func (s *Store) release() {
	if s.journal != nil {
		s.journal.Close()
	}
	if s.state != nil {
		s.state.Close()
	}
	if s.tree != nil {
		s.tree.close()
	}
	if s.lock != nil {
		s.lock.Close()
	}
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
