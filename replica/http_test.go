package replica_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/client"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/replica"
	"github.com/poolkeeper/poolkeeper/server"
	"github.com/poolkeeper/poolkeeper/storetest"
)

const testKey = "FAKE-KEY-of-the-tests-0123456789abcdef"

// served returns a client of a service of a backend.
func served(t testing.TB, b poolkeeper.Backend) *client.Client {
	t.Helper()
	st := poolkeeper.New(b, nil)
	hs := httptest.NewServer(server.New(st, &server.Options{Key: testKey}).Handler())
	t.Cleanup(func() {
		hs.CloseClientConnections()
		hs.Close()
		st.Close()
	})
	c, err := client.New(hs.URL, testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestConformanceOverHTTP(t *testing.T) {
	storetest.Run(t, alone(func(t testing.TB, now func() time.Time) replica.Source {
		return served(t, memstore.New(&memstore.Options{Now: now}))
	}, true))
}

// TestCurrentOverHTTP: a read that must be current passes the copy of the client's
// side, and the one of the service.
func TestCurrentOverHTTP(t *testing.T) {
	store := memstore.New(nil)
	if err := store.Restore(t.Context(), filled(3)); err != nil {
		t.Fatal(err)
	}
	// Of both copies, none is told anything.
	deaf := &faulty{Store: store, drop: 1000}
	far := over(t, deaf, nil)
	near := over(t, served(t, far), nil)
	defer near.Close()
	st := poolkeeper.New(near, nil)
	ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000001"}
	if _, err := poolkeeper.New(store, nil).Usage(t.Context(), ref, 5); err != nil {
		t.Fatal(err)
	}
	read := func(st *poolkeeper.Store, current bool) int64 {
		t.Helper()
		ctx := t.Context()
		if current {
			ctx = poolkeeper.ReadCurrent(ctx)
		}
		p, err := st.Provider(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		return p.Count(poolkeeper.UsageCount)
	}
	if n := read(st, false); n != 1 {
		t.Errorf("the copy has %d", n)
	}
	if n := read(poolkeeper.New(served(t, far), nil), false); n != 1 {
		t.Errorf("the copy of the service has %d", n)
	}
	if n := read(st, true); n != 6 {
		t.Errorf("a read that must be current has %d, want 6", n)
	}
	if n := read(st, false); n < 1 {
		t.Errorf("then %d is read", n)
	}
}
