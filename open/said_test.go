package open_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A said is a log that several goroutines write.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestTransitionsAreSaidOnce: whatever becomes of Redis, the log has one line for each
// transition, and it says what is so.
func TestTransitionsAreSaidOnce(t *testing.T) {
	for name, c := range map[string]struct {
		opts   []redistest.Option
		before func(*outage)
		during func(*outage, *poolkeeper.Store)
		says   string // one line does
	}{
		"away": {opts: []redistest.Option{redistest.WithAOF("always")}, during: func(o *outage, st *poolkeeper.Store) {
			o.srv.Stop()
			o.mode(st, poolkeeper.ModeFallback)
			o.srv.Restart()
			o.mode(st, poolkeeper.ModeOnline)
		}, says: "the store is away: reads go on from the copy, writes are queued"},
		"stopped": {during: func(o *outage, st *poolkeeper.Store) {
			o.srv.Pause()
			o.mode(st, poolkeeper.ModeFallback)
			o.srv.Resume()
			o.mode(st, poolkeeper.ModeOnline)
		}, says: "the store stays away: the fallback directory is kept current"},
		"lost": {during: func(o *outage, st *poolkeeper.Store) {
			o.srv.FlushAll()
			o.until("a write is queued", func() bool { return o.status(st.Usage(o.Context(), one, 1)) == poolkeeper.Queued })
			o.mode(st, poolkeeper.ModeLost)
			if _, err := st.Backend().(poolkeeper.Recoverer).Recover(o.Context(), false); err != nil {
				o.Fatal(err)
			}
			o.mode(st, poolkeeper.ModeOnline)
		}, says: "the store is not the one that was written to"},
		"empty at the start": {before: func(o *outage) {
			o.srv.FlushAll()
			if err := os.WriteFile(filepath.Join(o.set.ConfigDir, "provider_pools.json"), []byte(`{"kiro":[{"uuid":"a"}]}`), 0o600); err != nil {
				o.Fatal(err)
			}
		}, during: func(o *outage, st *poolkeeper.Store) {
			o.mode(st, poolkeeper.ModeEmpty)
			o.filled()
			o.mode(st, poolkeeper.ModeOnline)
		}, says: "the store is empty: run poolkeeper import or poolkeeper init"},
		"away at the start, with nothing to serve": {before: func(o *outage) { o.srv.Pause() }, during: func(o *outage, st *poolkeeper.Store) {
			o.mode(st, poolkeeper.ModeFallback)
			o.srv.Resume()
			o.mode(st, poolkeeper.ModeOnline)
		}, says: "the store is away, and this instance has nothing of it to serve"},
	} {
		t.Run(name, func(t *testing.T) {
			log := &said{}
			o := newOutage(t, c.opts...)
			o.log = slog.New(slog.NewTextHandler(log, nil))
			o.filled()
			if c.before != nil {
				c.before(o)
			}
			st := o.open()
			if c.before == nil {
				o.mode(st, poolkeeper.ModeOnline)
				if got := o.status(st.Usage(o.Context(), one, 1)); got != poolkeeper.Applied {
					t.Fatalf("with Redis there: %s", got)
				}
			}
			c.during(o, st)
			if err := st.Close(); err != nil {
				t.Error(err)
			}
			text := log.String()
			o.mu.Lock()
			defer o.mu.Unlock()
			if n := strings.Count(text, " mode="); n != len(o.modes) {
				t.Errorf("%d lines for the modes %v", n, o.modes)
			}
			if n := strings.Count(text, c.says); n != 1 {
				t.Errorf("%d lines say %q", n, c.says)
			}
			for _, word := range []string{"are not heard", "is current again", "cannot be loaded"} {
				if strings.Contains(text, word) {
					t.Errorf("it says as well that the copy or its changes %s", word)
				}
			}
			if name == "away at the start, with nothing to serve" && (strings.Contains(text, "go on from the copy") || strings.Contains(text, "is kept current")) {
				t.Error("it tells of a copy that is not there")
			}
			if t.Failed() {
				t.Logf("logged was:\n%s", text)
			}
		})
	}
}
