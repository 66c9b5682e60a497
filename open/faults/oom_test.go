package faults_test

import (
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestFaultsReadWhenFull: a Redis that refuses writes for want of memory is read all
// the same, and so an instance can start on it.
func TestFaultsReadWhenFull(t *testing.T) {
	srv := redistest.Start(t)
	st := fill(t, srv.SocketURL())
	srv.ConfigSet("maxmemory", "1")
	if _, err := direct(t, srv.SocketURL()).Pools(t.Context()); err != nil {
		t.Errorf("a new store: %v", err)
	}
	if _, err := st.Pools(t.Context()); err != nil {
		t.Errorf("a read: %v", err)
	}
	h := openHole(t, srv.SocketURL())
	if view, err := h.st.View(t.Context()); err != nil || view.Provider(refOf(0)) == nil {
		t.Errorf("the view: %v", err)
	}
	if got := h.usage(0); got != poolkeeper.Queued {
		t.Errorf("a write: %s", got)
	}
}
