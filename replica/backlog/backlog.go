package backlog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/journal"
)

// DefaultMaxBytes bounds what is queued.
const DefaultMaxBytes = 1 << 30

// Options of a Backlog. A nil *Options means all defaults.
type Options struct {
	// MaxBytes bounds the ops that wait. The files may take four times that: what
	// becomes of the ops is written too, and what is written is given up late.
	MaxBytes int64
	// DropOldest makes room for a new op by giving up the oldest ops on runtime
	// state that were not sent, each noted in a ledger that stays. Otherwise, and
	// where that is not enough, the new op is refused.
	DropOldest bool
	// FS is the directory, for tests that make it fail.
	FS vfs.FS
	// SegmentBytes is that of the journal. Slack is how many bytes of the files may
	// be without use before they are written anew.
	SegmentBytes, Slack int64
	Logger              *slog.Logger
	Now                 func() time.Time
}

// Hooks are told what happens, one thing at a time and in its order. They must not
// call the Backlog. Each may be nil.
type Hooks struct {
	Observer
	// Waits is called where a key has its first op that waits, and where it has
	// none any more; Thawed where a request of it is settled.
	Waits  func(key poolkeeper.Key, on bool)
	Thawed func(key poolkeeper.Key)
}

// An Observer is told of each op that waits. Each may be nil.
type Observer struct {
	// Queued is called for each op that becomes durable: an increment that was added
	// to another one has its number. sent says that the store may have executed it.
	Queued func(op poolkeeper.QueuedOp, sent bool)
	// Sent is called for each that waits and is about to be sent.
	Sent func(op poolkeeper.QueuedOp)
	// Settled is called for each that waits no more, with what became of it.
	Settled func(poolkeeper.QueuedOp, poolkeeper.Result)
}

// A Backlog is the ops of one directory that wait, or of the memory.
type Backlog struct {
	opts    Options
	hooks   Hooks
	dir     string
	log     log
	journal *journal.Journal // nil in memory

	// Held for reading from the decision what to write until it is durable, for
	// writing by whoever needs all of that to stand still.
	gate sync.RWMutex

	keys     atomic.Int64 // how many have ops
	name     string       // of the journal, where it has none yet
	isNamed  atomic.Bool  // it has one
	doubtful error        // of ops that another directory may have brought

	mu       sync.Mutex
	unfolded *sync.Cond // some entry has no increments on their way any more
	entries  map[uint64]*entry
	lanes    map[poolkeeper.Key]*lane
	frozen   map[uint64]*frozen
	programs map[string]*program
	aside    map[uint64]*Aside
	ledger   map[droppedKey]*Dropped
	losses   map[lossKey]*poolkeeper.Loss
	epoch    string
	claim    claim
	bytes    int64 // of all of that
	closed   bool

	compacting bool
	compactAt  int64 // not before the files have so many bytes
	working    sync.WaitGroup
}

type frozen struct {
	*poolkeeper.Frozen
	bytes int64
	seq   uint64 // of its record
}

type program struct {
	source []byte
	seq    uint64
}

// log is what records are written to.
type log interface {
	Append(ctx context.Context, commit func(first uint64), records ...[]byte) (uint64, error)
}

// Open opens the backlog of a directory, which is made where it is missing, or
// without a name one in memory. What a crash left of a write is cut off; any
// other damage is the [journal.CorruptError] of the journal.
func Open(dir string, opts *Options) (*Backlog, error) {
	b := empty(dir)
	if opts != nil {
		b.opts = *opts
	}
	if b.opts.MaxBytes <= 0 {
		b.opts.MaxBytes = DefaultMaxBytes
	}
	if b.opts.Slack <= 0 {
		b.opts.Slack = 16 << 20
	}
	if b.opts.Logger == nil {
		b.opts.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if b.opts.Now == nil {
		b.opts.Now = time.Now
	}
	if dir == "" && b.opts.FS == nil {
		b.log = &memory{}
		return b, nil
	}
	j, err := journal.Open(dir, &journal.Options{FS: b.opts.FS, MaxBytes: 4*b.opts.MaxBytes + 8*b.opts.Slack, SegmentBytes: b.opts.SegmentBytes})
	if err != nil {
		return nil, err
	}
	b.journal, b.log = j, j
	if err := b.recover(); err != nil {
		j.Close()
		return nil, err
	}
	b.nameless()
	return b, nil
}

func empty(dir string) *Backlog {
	b := &Backlog{dir: dir, name: newName(), doubtful: errDoubtful(dir), entries: map[uint64]*entry{}, lanes: map[poolkeeper.Key]*lane{}, frozen: map[uint64]*frozen{},
		programs: map[string]*program{}, aside: map[uint64]*Aside{}, ledger: map[droppedKey]*Dropped{}, losses: map[lossKey]*poolkeeper.Loss{}}
	b.unfolded = sync.NewCond(&b.mu)
	return b
}

// Watch sets the hooks, before the backlog is used.
func (b *Backlog) Watch(h Hooks) { b.hooks = h }

// Observe tells an observer of all ops that wait now, in the order of each key, and
// from then on of what happens, in place of the one of [Backlog.Watch].
func (b *Backlog) Observe(o Observer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hooks.Observer = o
	for _, n := range sortedKeys(b.entries) {
		e := b.entries[n]
		b.queued(e.QueuedOp, e.touched)
	}
}

// Dir is the directory; empty in memory.
func (b *Backlog) Dir() string { return b.dir }

// Durable reports whether what is queued survives the process.
func (b *Backlog) Durable() bool { return b.journal != nil }

// Close ends the backlog. What waits is found when it is opened again; in memory it is
// gone, which is logged.
func (b *Backlog) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	b.working.Wait()
	if b.journal == nil {
		b.gone()
		return nil
	}
	return b.journal.Close()
}

// write makes records durable, and then has commit take note of them.
func (b *Backlog) write(ctx context.Context, commit func(first uint64), records ...[]byte) error {
	named := b.named() || records[0][0] == claimRecord
	if !named {
		records = append([][]byte{(&claim{Journal: b.name}).record()}, records...)
	}
	_, err := b.log.Append(ctx, func(first uint64) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !named {
			first++
			if b.claim.Journal == "" {
				b.claim.Journal = b.name
			}
			b.isNamed.Store(true)
		}
		commit(first)
	}, records...)
	if errors.Is(err, journal.ErrFull) {
		err = errFull
	}
	return err
}

var errFull = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the journal of ops that wait for the store is full").
	WithHint("nothing more is acknowledged until the store is back; or allow it more bytes")

// State is how much waits.
type State struct {
	Ops    int   `json:"ops"`    // that wait, those on their way included
	Frozen int   `json:"frozen"` // requests on their way
	Aside  int   `json:"aside"`  // ops set aside
	Keys   int   `json:"keys"`   // that have ops
	Bytes  int64 `json:"bytes"`  // of all that
	Files  int64 `json:"files"`  // bytes of the files in use
	// Dropped is how many ops were ever given up for want of room.
	Dropped int64 `json:"dropped"`
	// Lost is how many ops the store has lost for good, as far as that was noted.
	Lost int64 `json:"lost,omitempty"`
}

// State describes the backlog.
func (b *Backlog) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := State{Ops: len(b.entries), Frozen: len(b.frozen), Aside: len(b.aside), Keys: len(b.lanes), Bytes: b.bytes}
	for _, d := range b.ledger {
		s.Dropped += d.Ops
	}
	for _, l := range b.losses {
		s.Lost += l.Ops
	}
	if b.journal != nil {
		s.Files = b.journal.Size()
	}
	return s
}

// Has reports whether ops of a key wait.
func (b *Backlog) Has(key poolkeeper.Key) bool {
	if b.keys.Load() == 0 { // as ever while the store is there
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lanes[key] != nil
}

// Len is how many ops of a key wait.
func (b *Backlog) Len(key poolkeeper.Key) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.lanes[key]; l != nil {
		return l.live
	}
	return 0
}

// Keys are those that have ops, the one that waits longest first.
func (b *Backlog) Keys() []poolkeeper.Key {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := func(k poolkeeper.Key) uint64 { return b.lanes[k].entries[0].Entry }
	return slices.SortedFunc(maps.Keys(b.lanes), func(x, y poolkeeper.Key) int {
		if first(x) < first(y) {
			return -1
		}
		return 1
	})
}

// Epoch is the identity of the store that the ops are for; empty where it was
// not known yet.
func (b *Backlog) Epoch() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.epoch
}

// SetEpoch notes it.
func (b *Backlog) SetEpoch(epoch string) error {
	if b.Epoch() == epoch {
		return nil
	}
	b.gate.RLock()
	defer b.gate.RUnlock()
	w := record(epochRecord)
	w.text([]byte(epoch))
	return b.write(context.Background(), func(uint64) { b.epoch = epoch }, w)
}

// lane returns the lane of a key, which it begins where there is none.
func (b *Backlog) lane(key poolkeeper.Key) *lane {
	l := b.lanes[key]
	if l == nil {
		l = &lane{key: key}
		b.lanes[key] = l
		b.keys.Add(1)
		if b.hooks.Waits != nil {
			b.hooks.Waits(key, true)
		}
	}
	return l
}

// enter puts a new entry into its lane.
func (b *Backlog) enter(e *entry) {
	b.entries[e.Entry] = e
	b.bytes += e.bytes
	b.lane(e.Op.Key).add(e)
}

// end takes an entry out of its lane, and the lane away with the last one.
func (b *Backlog) end(e *entry) {
	delete(b.entries, e.Entry)
	b.bytes -= e.bytes
	l := b.lanes[e.Op.Key]
	if l.end(e); l.live == 0 {
		delete(b.lanes, l.key)
		b.keys.Add(-1)
		if b.hooks.Waits != nil {
			b.hooks.Waits(l.key, false)
		}
	}
}

// overhead is what an entry takes beside its op.
const overhead = 64
