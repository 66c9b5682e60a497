package storetest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A follower keeps a copy of a store by what its watch tells, and loads only
// what that asks for.
type follower struct {
	t     *testing.T
	b     poolkeeper.Backend
	ready chan struct{}
	ended chan error // what Watch returned
	stop  context.CancelFunc

	mu   sync.Mutex
	copy *poolkeeper.Snapshot
	// told are all changes; gaps those of them that did not continue what was
	// known.
	told, gaps []poolkeeper.Change
}

// follow begins a watch, and returns when it has begun.
func follow(t *testing.T, b poolkeeper.Backend) *follower {
	t.Helper()
	f := watchWith(t, b, nil)
	f.wait()
	return f
}

// watchWith begins a watch. also, where it is not nil, is called with each change
// after the copy has it.
func watchWith(t *testing.T, b poolkeeper.Backend, also func(poolkeeper.Change)) *follower {
	t.Helper()
	w, ok := b.(poolkeeper.Watcher)
	if !ok {
		t.Fatalf("the backend, a %T, cannot be watched", b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{t: t, b: b, ready: make(chan struct{}), ended: make(chan error, 1), stop: cancel}
	over := make(chan struct{})
	go func() {
		defer close(over)
		f.ended <- w.Watch(ctx, func(c poolkeeper.Change) {
			f.take(c)
			if also != nil {
				also(c)
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return f
}

func (f *follower) wait() {
	f.t.Helper()
	select {
	case <-f.ready:
	case err := <-f.ended:
		f.t.Fatalf("Watch returned %v before it was ready", err)
	}
}

// end waits for Watch to return.
func (f *follower) end() error { return <-f.ended }

func (f *follower) load(keys ...poolkeeper.Key) *poolkeeper.Snapshot {
	snap, err := f.b.Load(f.t.Context(), keys...)
	if err != nil {
		if f.t.Context().Err() == nil {
			f.t.Errorf("Load %v for a copy: %v", keys, err)
		}
		return poolkeeper.NewSnapshot()
	}
	return snap
}

// take lays a change over the copy.
func (f *follower) take(c poolkeeper.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, c)
	switch c.Kind {
	case poolkeeper.ChangeReady:
		if f.copy != nil {
			f.t.Error("a watch began twice")
			return
		}
		f.copy = f.load()
		close(f.ready)
	case poolkeeper.ChangeTypes:
		f.copy.Types = f.load(poolkeeper.TypesKey).Types
		for typ := range f.copy.Pools {
			if !slices.Contains(f.copy.Types, typ) {
				f.reload(poolkeeper.PoolKey(typ))
			}
		}
	case poolkeeper.ChangeValue:
		got := f.load(c.Key)
		maps.DeleteFunc(f.copy.Values, func(k poolkeeper.Key, _ poolkeeper.Document) bool {
			return k == c.Key || c.Key.Name == "" && k.Kind == c.Key.Kind
		})
		maps.Copy(f.copy.Values, got.Values)
	default:
		f.pool(c)
	}
}

func (f *follower) pool(c poolkeeper.Change) {
	p := f.copy.Pools[c.Key.Type]
	switch {
	case p == nil || c.After.IsZero():
		f.reload(c.Key)
	case c.After.Number <= p.Revision.Number:
	case c.Before != p.Revision:
		f.gaps = append(f.gaps, c)
		f.reload(c.Key)
	case !lay(p, c):
		f.reload(c.Key)
	default:
		p.Revision = c.After
	}
}

func (f *follower) reload(key poolkeeper.Key) {
	p := f.load(key).Pools[key.Type]
	if p == nil {
		delete(f.copy.Pools, key.Type)
	} else {
		f.copy.Pools[key.Type] = p
	}
}

// lay lays a change that continues a pool over it, or reports that the pool is
// to be loaded.
func lay(p *poolkeeper.Pool, c poolkeeper.Change) bool {
	find := func(id string) int {
		return slices.IndexFunc(p.Providers, func(x poolkeeper.Provider) bool { return x.ID == id })
	}
	i := find(c.ID)
	switch {
	case c.Kind == poolkeeper.ChangePut && c.Definition != nil:
		if i < 0 {
			i = len(p.Providers)
			p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: p.Type, ID: c.ID}})
		}
		p.Providers[i].Definition = c.Definition
	case c.Kind == poolkeeper.ChangeRename && c.Definition != nil && i >= 0:
		p.Providers[i].ID, p.Providers[i].Definition = c.NewID, c.Definition
	case c.Kind == poolkeeper.ChangeDelete && i >= 0:
		p.Providers = slices.Delete(p.Providers, i, i+1)
	case c.Kind == poolkeeper.ChangeState:
	default:
		return false
	}
	for _, s := range c.States {
		if i := find(s.ID); i >= 0 {
			p.Providers[i].State = s.Over(p.Providers[i].State)
		} else {
			return false
		}
	}
	return true
}

// same waits until the copy is what the store has.
func (f *follower) same(when string) {
	f.t.Helper()
	const patience = 20 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		want := f.load()
		f.mu.Lock()
		d := Diff(want, f.copy)
		for typ, p := range want.Pools { // it may have become what it was before
			if mine := f.copy.Pools[typ]; d == "" && mine != nil && !p.Revision.IsZero() && mine.Revision != p.Revision {
				d = "pool " + typ + " is of another revision"
			}
		}
		f.mu.Unlock()
		if d == "" {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%s, the copy is another one than the store:\n%s", when, d)
		}
	}
}

// changes are those told of a key so far.
func (f *follower) changes(key poolkeeper.Key) []poolkeeper.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.told), func(c poolkeeper.Change) bool { return c.Key != key })
}

// continuous fails where a change did not continue what was known.
func (f *follower) continuous() {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.gaps) > 0 {
		f.t.Errorf("%d of %d changes do not continue the one before; the first is %+v", len(f.gaps), len(f.told), f.gaps[0])
	}
}
