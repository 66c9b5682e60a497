package faults_test

import (
	"context"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/open"
)

// TestFaultsShownOnce: what is queued is shown once, also by a process that has it
// from the journal and from the snapshot.
func TestFaultsShownOnce(t *testing.T) {
	srv := redistest.Start(t, redistest.WithAOF("always"))
	fill(t, srv.SocketURL())
	set, err := resolve(srv.SocketURL(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	var st *poolkeeper.Store
	begin := func() {
		if st, err = open.Store(t.Context(), set, &open.Options{Outlast: true}); err != nil {
			t.Fatal(err)
		}
	}
	mode := func(want poolkeeper.Mode) {
		t.Helper()
		until(t, string(want), func() bool {
			info, err := st.Info(ctx)
			return err == nil && info.Mode == want
		})
	}
	shown := func(when string, want int64) {
		t.Helper()
		p, err := st.Provider(ctx, refOf(0))
		if err != nil || p.Count(poolkeeper.UsageCount) != want {
			t.Errorf("%s: %+v is shown, and it is %d (%v)", when, p, want, err)
		}
	}
	begin()
	mode(poolkeeper.ModeOnline)
	if _, err := st.Usage(ctx, refOf(0), 1); err != nil {
		t.Fatal(err)
	}
	srv.Stop()
	if _, err := st.Usage(ctx, refOf(1), 1); err != nil { // the outage is noticed
		t.Fatal(err)
	}
	mode(poolkeeper.ModeFallback)
	if _, err := st.Usage(ctx, refOf(0), 10); err != nil {
		t.Fatal(err)
	}
	shown("queued", 11)
	st.Close()
	begin()
	shown("queued, by the next process", 11)
	st.Close()
	srv.Restart()
	begin()
	for seen := int64(1); seen < 11; {
		view, err := st.View(ctx)
		if err != nil {
			continue
		}
		switch n := view.Provider(refOf(0)).Count(poolkeeper.UsageCount); n {
		case 1, 11:
			seen = max(seen, n)
		default:
			t.Fatalf("in the replay %d is shown", n)
		}
	}
	mode(poolkeeper.ModeOnline)
	shown("in the end", 11)
	st.Close()
}
