// Package memstore keeps the state in memory. It is the state machine of
// Poolkeeper: a backend of its own, and the oracle that the other backends are
// compared with. What an op does to the state is said here in code; why, and
// what callers may rely on, at [poolkeeper.OpKind] and [poolkeeper.Backend].
//
// What those leave to the store, and what every backend does alike:
//
//   - A condition is looked at before anything else about the target, so that
//     a missing target with an ETag or [poolkeeper.IfPresent] is
//     [poolkeeper.ErrConflict]; without a condition it is
//     [poolkeeper.ErrNotFound]. An add of what is there is
//     [poolkeeper.ErrExists] first.
//   - Aliases are followed by ops on runtime state, by patch, delete and
//     rename, and by reads; not by add, put, replace and reorder, whose ids are
//     meant as they stand. A provider that comes to have an id ends its alias.
//     An alias outlives the provider that it leads to, and the pool.
//   - A rename whose alias leads to its NewID already is done: it succeeds
//     without looking at its condition, so that one that was cut off can be
//     called again.
//   - A session that has expired is not there, for ops as for reads.
//   - An idempotency key is looked at before the provider that the op names: it
//     answers whatever has become of that, and of the pool.
//   - The revision of a key outlives what is stored under it; only that of a
//     session that expired may be forgotten.
package memstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/feed"
)

var _ poolkeeper.Backend = (*Store)(nil)

// Options of a Store. A nil *Options means all defaults.
type Options struct {
	// Now is the clock by which sessions and aliases end; time.Now where nil.
	Now func() time.Time
	// Told is called for each change, in the order of the ops, before Apply or Commit
	// returns; it must not use the Store. It may be nil.
	Told func(poolkeeper.Change)
}

// A Store is a [poolkeeper.Backend] in memory. It starts uninitialised: Restore
// initialises it, with an empty snapshot too.
type Store struct {
	now    func() time.Time
	writer string

	mu sync.RWMutex
	// by, at, dry and draft are of the op under way: who made it, its time, whether
	// it is only tried, and what was computed before its turn.
	by    string
	at    func() int64
	dry   bool
	draft *Draft

	closed bool
	meta   map[string]string // nil until the store is initialised
	types  []string
	pools  map[string]*pool
	// aliases :: old ref → the id that it was renamed to
	aliases *cowMap[poolkeeper.Ref, alias]
	values  map[poolkeeper.KeyKind]*cowMap[poolkeeper.Key, poolkeeper.Document]
	// revisions :: lane → its last change
	revisions *cowMap[poolkeeper.Key, poolkeeper.Revision]
	// structures :: type → the last change to its pool that was not of traffic
	structures *cowMap[string, poolkeeper.Revision]
	counted    onceTable
	// sweepAt is how many sessions there must be before expired ones are
	// looked for.
	sweepAt int

	drafted func() // of a test: called between a draft and the turn of its op

	told     func(poolkeeper.Change)
	watchers []*feed.Queue[poolkeeper.Change]
	change   poolkeeper.Change // what the op under way does to its pool, for them

	imaging sync.Mutex // held from View until the Image is made
	view    *View      // that is under way
	views   uint64     // how many there were
}

// New returns an uninitialised Store.
func New(opts *Options) *Store {
	s := &Store{now: time.Now, writer: randomHex(8)}
	if opts != nil {
		s.told = opts.Told
		if opts.Now != nil {
			s.now = opts.Now
		}
	}
	s.at, s.by = s.millis, s.writer
	return s
}

func (s *Store) millis() int64 { return s.now().UnixMilli() }

// Info describes the store.
func (s *Store) Info(ctx context.Context) (poolkeeper.Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	info := poolkeeper.Info{Backend: "memory", Writer: s.writer}
	switch err := s.usable(); {
	case ctx.Err() != nil:
		return poolkeeper.Info{}, ctx.Err()
	case s.closed:
		return poolkeeper.Info{}, err
	case err != nil:
		info.Problem = poolkeeper.ErrUninitialized.Error()
	default:
		info.Ready, info.Epoch, info.Importing = true, s.meta["epoch"], s.meta["importing"] != ""
		s.counted.describe(&info)
	}
	return info, nil
}

// MarkImport implements poolkeeper.ImportMarker.
func (s *Store) MarkImport(ctx context.Context, run string, unfinished bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.usable(); err != nil {
		return err
	}
	switch {
	case unfinished:
		s.meta["importing"] = run
	case s.meta["importing"] == run:
		delete(s.meta, "importing")
	}
	return nil
}

// Close drops the state.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.meta, s.types, s.pools, s.aliases, s.values, s.revisions, s.structures = nil, nil, nil, nil, nil, nil, nil
	s.counted = onceTable{}
	s.endWatches()
	return nil
}

// usable reports why ops and reads must be refused, if they must.
func (s *Store) usable() error {
	switch {
	case s.closed:
		return poolkeeper.Errorf(poolkeeper.ErrClosed, "store is closed")
	case s.meta == nil:
		return poolkeeper.Errorf(poolkeeper.ErrUninitialized, "store is not initialised").
			WithHint("restore a snapshot into it first")
	}
	return nil
}

// Restore initialises the store with a snapshot. Revisions, epoch and aliases
// are the store's own and not taken from it.
func (s *Store) Restore(ctx context.Context, snap *poolkeeper.Snapshot) error {
	next := New(&Options{Now: s.now})
	next.by = s.writer
	if err := next.fill(snap); err != nil {
		return poolkeeper.Annotate(err, "restore", "store")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.closed:
		return poolkeeper.Annotate(s.usable(), "restore", "store")
	case s.meta != nil:
		return poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrExists, "the store is initialised already").
			WithHint("restore into an empty store, or apply ops to this one"), "restore", "store")
	}
	s.meta, s.types, s.pools, s.aliases = next.meta, next.types, next.pools, next.aliases
	s.values, s.revisions, s.structures = next.values, next.revisions, next.structures
	s.counted.init()
	return nil
}

// fill makes an empty store hold a snapshot, which may be nil. Everything in it
// is checked as the ops that would put it there are.
func (s *Store) fill(snap *poolkeeper.Snapshot) error {
	if snap == nil {
		snap = &poolkeeper.Snapshot{}
	}
	s.pools = make(map[string]*pool, len(snap.Pools))
	s.aliases = newCowMap[poolkeeper.Ref, alias]()
	s.values = map[poolkeeper.KeyKind]*cowMap[poolkeeper.Key, poolkeeper.Document]{}
	s.revisions = newCowMap[poolkeeper.Key, poolkeeper.Revision]()
	s.structures = newCowMap[string, poolkeeper.Revision]()

	for _, typ := range typesOf(snap) {
		op := poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey(typ)}
		if p := snap.Pools[typ]; p != nil {
			op.Providers = make([]poolkeeper.ProviderRecord, len(p.Providers))
			for i := range p.Providers {
				from := &p.Providers[i]
				op.Providers[i] = poolkeeper.ProviderRecord{ID: from.ID, Definition: from.Definition, State: &from.State}
			}
		}
		if err := s.fillWith(&op); err != nil {
			return err
		}
	}
	for key, d := range snap.Values {
		op := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: d.Data, ExpiresAt: d.ExpiresAt}
		if err := s.fillWith(&op); err != nil {
			return err
		}
	}

	s.meta = map[string]string{}
	maps.Copy(s.meta, snap.Meta)
	delete(s.meta, "importing") // this Restore is whole
	s.meta["epoch"], s.meta["schema"] = randomHex(16), "1"
	return nil
}

func (s *Store) fillWith(op *poolkeeper.Op) error {
	if err := op.Validate(); err != nil {
		return err
	}
	_, err := s.dispatch(op)
	return poolkeeper.Annotate(err, string(op.Kind), op.Subject())
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
