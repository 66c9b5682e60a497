package redisstore_test

import (
	"errors"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestProbeIsNotForeign: what an instance writes to find out whether it may is nothing that
// keeps an emptied Redis from being filled.
func TestProbeIsNotForeign(t *testing.T) {
	srv := redistest.Start(t)
	r := rigOn(t, srv)
	srv.FlushAll()
	if err := r.b.Writable(t.Context()); err != nil || len(srv.Keys("*")) != 1 {
		t.Fatalf("%q, %v", srv.Keys("*"), err)
	}
	srv.DoString("PERSIST", srv.Keys("*")[0]) // as it is in the next second
	b := r.open(srv.SocketURL())
	if _, err := b.Load(t.Context(), poolkeeper.TypesKey); !errors.Is(err, poolkeeper.ErrUninitialized) {
		t.Errorf("it is read as %v", err)
	}
	if err := b.Restore(t.Context(), rigSnapshot()); err != nil {
		t.Error(err)
	}
}
