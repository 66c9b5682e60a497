package storetest_test

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// handle is another handle on a store in memory, which closing it leaves open.
type handle struct{ poolkeeper.Backend }

func (handle) Close() error { return nil }

// shared exercises what the suite does with several handles.
var shared = storetest.Harness{
	Open: func(_ testing.TB, now func() time.Time) poolkeeper.Backend {
		return memstore.New(&memstore.Options{Now: now})
	},
	Reopen:   func(_ testing.TB, b poolkeeper.Backend) poolkeeper.Backend { return handle{b} },
	Shared:   true,
	OwnClock: true,
}

func TestConformance(t *testing.T)  { storetest.Run(t, shared) }
func TestModel(t *testing.T)        { storetest.Model(t, shared) }
func TestLinearizable(t *testing.T) { storetest.Linearizable(t, shared) }
