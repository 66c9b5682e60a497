package memstore_test

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

var harness = storetest.Harness{
	Open: func(_ testing.TB, now func() time.Time) poolkeeper.Backend {
		return memstore.New(&memstore.Options{Now: now})
	},
	OwnClock: true,
}

func TestConformance(t *testing.T)  { storetest.Run(t, harness) }
func TestModel(t *testing.T)        { storetest.Model(t, harness) }
func TestLinearizable(t *testing.T) { storetest.Linearizable(t, harness) }
func TestLimits(t *testing.T)       { storetest.Limits(t, harness) }
