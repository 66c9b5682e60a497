package replica_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A faulty source is a store whose changes are told badly, and that can be away.
type faulty struct {
	*memstore.Store
	seed uint64
	// of a thousand changes, so many are dropped, told twice, told late, and end
	// the watch
	drop, twice, late, end int
	slow                   time.Duration // at most, for each change
	loading                time.Duration // for each Load

	refusal error // of every watch

	epoch string // that it says it has

	away, silent                          atomic.Bool
	emptied                               atomic.Bool // but watched as if it were not
	loads                                 atomic.Int64
	dropped, doubled, moved, ended, turns atomic.Int64
}

func (f *faulty) gone() error {
	if f.away.Load() {
		return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the store is away")
	}
	return nil
}

func (f *faulty) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	f.loads.Add(1)
	snap, err := f.Store.Load(ctx, keys...)
	time.Sleep(f.loading / 2)
	if e := f.gone(); e != nil {
		return nil, e
	}
	if f.emptied.Load() {
		if slices.Equal(keys, []poolkeeper.Key{poolkeeper.MetaKey}) {
			return poolkeeper.NewSnapshot(), nil
		}
		return nil, poolkeeper.ErrLost
	}
	if err == nil && snap.Meta["epoch"] != "" && f.epoch != "" {
		snap.Meta["epoch"] = f.epoch
	}
	return snap, err
}

func (f *faulty) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	if err := f.gone(); err != nil {
		results := make([]poolkeeper.Result, len(ops))
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	return f.Store.Apply(ctx, ops...)
}

// Watch tells what the store tells, in the ways that were asked for.
func (f *faulty) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	if err := f.gone(); err != nil {
		return err
	}
	if f.refusal != nil {
		return f.refusal
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rng := rand.New(rand.NewPCG(f.seed, uint64(f.turns.Add(1))))
	var mu sync.Mutex
	var held *poolkeeper.Change // which is told after some of the next ones
	hold := 0
	chance := func(of int) bool { return rng.IntN(1000) < of }
	broken := false
	tell := func(c poolkeeper.Change) {
		fn(c)
		if chance(f.twice) {
			f.doubled.Add(1)
			fn(c)
		}
	}
	err := f.Store.Watch(ctx, func(c poolkeeper.Change) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case broken || ctx.Err() != nil:
			return
		case f.away.Load() || c.Kind != poolkeeper.ChangeReady && chance(f.end):
			f.ended.Add(1)
			broken = true
			cancel()
			return
		case c.Kind == poolkeeper.ChangeReady:
			fn(c)
			return
		}
		if f.slow > 0 {
			time.Sleep(rand.N(f.slow))
		}
		switch {
		case f.silent.Load() || chance(f.drop):
			f.dropped.Add(1)
			return
		case held == nil && chance(f.late):
			f.moved.Add(1)
			held, hold = &c, 1+rng.IntN(5)
			return
		}
		tell(c)
		if held != nil {
			if hold--; hold == 0 {
				tell(*held)
				held = nil
			}
		}
	})
	if broken {
		return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the watch has ended")
	}
	return err
}

// cut ends the watch of a source that is away.
func (f *faulty) cut() {
	f.away.Store(true)
	// The next change ends the watch; one that changes nothing else will do.
	key := poolkeeper.DocumentKey("cut")
	f.Store.Apply(context.Background(),
		poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: []byte(time.Now().String())})
}
