package replica_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/replica"
)

// A telling source says how it is, as a queue does.
type telling struct {
	*faulty
	mu   sync.Mutex
	mode poolkeeper.Mode
}

func (s *telling) Mode() poolkeeper.Mode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode
}

func (s *telling) turn(m poolkeeper.Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = m
}

// TestTroubleIsSaidOnce: of an outage that the source tells of, the copy says nothing
// in the log; of one that nobody else tells of, and of changes that are not heard
// although the source is there, it says that they are not, and when they are again.
func TestTroubleIsSaidOnce(t *testing.T) {
	for name, c := range map[string]struct {
		mode  poolkeeper.Mode // that the source is in a moment after; none: it tells nothing
		empty bool            // there is no copy when it begins
		lines string
	}{
		"told by nobody else": {lines: "WARN reads go on from the copy\nINFO current again\n"},
		"away":                {mode: poolkeeper.ModeDegraded},
		"lost":                {mode: poolkeeper.ModeLost},
		"not heard":           {mode: poolkeeper.ModeOnline, lines: "WARN reads go on from the copy\nINFO current again\n"},
		"no copy":             {empty: true, lines: "WARN reads ask the store\nINFO current again\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New(nil)
				if err := store.Restore(t.Context(), filled(3)); err != nil {
					t.Fatal(err)
				}
				var log bytes.Buffer
				source := &telling{faulty: &faulty{Store: store}, mode: poolkeeper.ModeOnline}
				source.away.Store(c.empty)
				var from replica.Source = source
				if c.mode == "" {
					from = source.faulty
				}
				r, err := replica.Open(t.Context(), from, &replica.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
				if err != nil {
					t.Fatal(err)
				}
				source.cut()
				time.Sleep(time.Second) // the source takes a while to find out
				source.turn(c.mode)
				time.Sleep(time.Minute)
				source.away.Store(false)
				time.Sleep(time.Millisecond)
				source.turn(poolkeeper.ModeOnline)
				time.Sleep(time.Minute)
				r.Close()
				said := ""
				for line := range strings.Lines(log.String()) {
					for _, part := range []string{"reads go on from the copy", "reads ask the store", "current again"} {
						if strings.Contains(line, part) {
							_, level, _ := strings.Cut(line, "level=")
							level, _, _ = strings.Cut(level, " ")
							said += level + " " + part + "\n"
						}
					}
				}
				if said != c.lines {
					t.Errorf("it says\n%swant\n%s", log.String(), c.lines)
				}
			})
		})
	}
}
