package storetest_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// handle is another handle on a store in memory, which closing it leaves open.
type handle struct{ poolkeeper.Backend }

func (handle) Close() error { return nil }

func (h handle) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	return poolkeeper.New(h.Backend, nil).Watch(ctx, fn)
}

// shared exercises what the suite does with several handles.
var shared = storetest.Harness{
	Open: func(_ testing.TB, now func() time.Time) poolkeeper.Backend {
		return memstore.New(&memstore.Options{Now: now})
	},
	Reopen:   func(_ testing.TB, b poolkeeper.Backend) poolkeeper.Backend { return handle{b} },
	Shared:   true,
	OwnClock: true,
}

// far is a store that requests take their time to get to, and answers to come
// from. Without it, memory answers each client before the next one calls.
type far struct{ poolkeeper.Backend }

func travel() { time.Sleep(rand.N(200 * time.Microsecond)) }

func (f far) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	travel()
	defer travel()
	return f.Backend.Apply(ctx, ops...)
}

func (f far) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	travel()
	defer travel()
	return f.Backend.Load(ctx, keys...)
}

func TestConformance(t *testing.T) { storetest.Run(t, shared) }
func TestModel(t *testing.T)       { storetest.Model(t, shared) }

func TestLinearizable(t *testing.T) {
	h := shared
	h.Open = func(t testing.TB, now func() time.Time) poolkeeper.Backend { return far{shared.Open(t, now)} }
	storetest.Linearizable(t, h)
}
