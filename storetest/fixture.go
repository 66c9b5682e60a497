package storetest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A fixture is one backend under test with the ways to ask it. Its methods end
// the test where something fails that the case at hand is not about.
type fixture struct {
	*testing.T
	h     Harness
	b     poolkeeper.Backend
	ctx   context.Context
	clock *clock
	more  []poolkeeper.Backend // handles beside b, for concurrent clients
}

// A clock is the real one, which can be set forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// open opens an uninitialised backend.
func open(t *testing.T, h Harness) *fixture {
	t.Helper()
	f := &fixture{T: t, h: h, ctx: t.Context(), clock: new(clock)}
	b := h.Open(t, f.clock.now)
	t.Cleanup(func() { b.Close() })
	f.b = b
	return f
}

// start opens a backend and initialises it with an empty snapshot.
func start(t *testing.T, h Harness) *fixture {
	t.Helper()
	f := open(t, h)
	if err := f.b.Restore(f.ctx, poolkeeper.NewSnapshot()); err != nil {
		t.Fatalf("Restore of an empty snapshot: %v", err)
	}
	return f
}

// store is a Store over the backend, by the clock of the fixture.
func (f *fixture) store() *poolkeeper.Store {
	return poolkeeper.New(f.b, &poolkeeper.Options{Now: f.clock.now})
}

// handles returns n handles on the data, or the only one where there can be no
// more.
func (f *fixture) handles(n int) []poolkeeper.Backend {
	f.Helper()
	for f.h.Shared && len(f.more) < n-1 {
		b := f.h.Reopen(f.T, f.b)
		f.Cleanup(func() { b.Close() })
		f.more = append(f.more, b)
	}
	return append([]poolkeeper.Backend{f.b}, f.more...)
}

// apply applies one op and returns what it was answered.
func (f *fixture) apply(op poolkeeper.Op) poolkeeper.Result {
	f.Helper()
	rs := f.b.Apply(f.ctx, op)
	if len(rs) != 1 {
		f.Fatalf("Apply of one op answered %d results", len(rs))
	}
	return rs[0]
}

// do applies ops that must succeed, all in one call, and returns the last
// result.
func (f *fixture) do(ops ...poolkeeper.Op) poolkeeper.Result {
	f.Helper()
	rs := f.b.Apply(f.ctx, ops...)
	if len(rs) != len(ops) {
		f.Fatalf("Apply of %d ops answered %d results", len(ops), len(rs))
	}
	for i, r := range rs {
		if r.Err != nil {
			f.Fatalf("%s %s: %v", ops[i].Kind, ops[i].Subject(), r.Err)
		}
		if r.Status != poolkeeper.Applied {
			f.Fatalf("%s %s: status %q, want %q", ops[i].Kind, ops[i].Subject(), r.Status, poolkeeper.Applied)
		}
	}
	return rs[len(rs)-1]
}

// refuse applies an op that must be refused with the given error.
func (f *fixture) refuse(op poolkeeper.Op, want error) {
	f.Helper()
	if r := f.apply(op); !errors.Is(r.Err, want) {
		f.Errorf("%s %s, if %q: error %v, want %v", op.Kind, op.Subject(), op.If, r.Err, want)
	}
}

func (f *fixture) load(keys ...poolkeeper.Key) *poolkeeper.Snapshot {
	f.Helper()
	snap, err := f.b.Load(f.ctx, keys...)
	if err != nil {
		f.Fatalf("Load %v: %v", keys, err)
	}
	return snap
}

func (f *fixture) provider(r poolkeeper.Ref) *poolkeeper.Provider {
	f.Helper()
	p := f.load(poolkeeper.ProviderKey(r)).Provider(r)
	if p == nil {
		f.Fatalf("provider %s is not there", r)
	}
	return p
}

func (f *fixture) pool(typ string) *poolkeeper.Pool {
	f.Helper()
	p := f.load(poolkeeper.PoolKey(typ)).Pools[typ]
	if p == nil {
		f.Fatalf("pool %q is not there", typ)
	}
	return p
}

// same fails where the state is not that of a snapshot.
func (f *fixture) same(want *poolkeeper.Snapshot, when string) {
	f.Helper()
	if d := Diff(want, f.load()); d != "" {
		f.Errorf("%s, the state differs:\n%s", when, d)
	}
}

// wantIDs fails where a pool does not have exactly these providers, in order.
func (f *fixture) wantIDs(typ string, want ...string) {
	f.Helper()
	if got := ids(f.pool(typ)); !slices.Equal(got, want) {
		f.Errorf("pool %q has the providers %q, want %q", typ, got, want)
	}
}

// wantData fails where a value does not have exactly these bytes.
func (f *fixture) wantData(key poolkeeper.Key, want string) {
	f.Helper()
	d, ok := f.load(key).Values[key]
	switch {
	case !ok:
		f.Errorf("%s is not there, want %s", key, excerpt([]byte(want)))
	case string(d.Data) != want:
		f.Errorf("%s holds %s, want %s", key, excerpt(d.Data), excerpt([]byte(want)))
	}
}
