package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestStatusNamesTheWayOut: whatever the mode, what status says in the end is the real
// way out: not to ask for the status, nor the same twice.
func TestStatusNamesTheWayOut(t *testing.T) {
	const recover = "put back what this instance has: poolkeeper recover"
	for _, mode := range poolkeeper.Modes() {
		want := map[poolkeeper.Mode]struct {
			err     error
			problem string
			hint    string
		}{
			poolkeeper.ModeDegraded: {poolkeeper.ErrUnavailable, "connection refused (really)", "bring Redis back"},
			poolkeeper.ModeFallback: {poolkeeper.ErrUnavailable, "connection refused", "bring Redis back"},
			poolkeeper.ModeEmpty:    {poolkeeper.ErrUninitialized, "the store in Redis is empty", "poolkeeper import --config-dir DIR, or poolkeeper init"},
			poolkeeper.ModeForeign:  {poolkeeper.ErrForeign, "Redis holds keys", "poolkeeper import --from-redis URL --in-place"},
			poolkeeper.ModeLost:     {poolkeeper.ErrLost, "the store is empty (" + recover + ")", recover},
			poolkeeper.ModeRefused:  {poolkeeper.ErrForbidden, "WRONGPASS", "correct it where the SOURCE of the setting says"},
		}[mode]
		if want.err == nil { // the store is there
			continue
		}
		status, _, err := (&app{}).root().Find([]string{"status"})
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		a := &app{errOut: &said, cmd: status}
		err = unready(&poolkeeper.Info{Mode: mode, Problem: want.problem, Backend: "redis"}, true)
		if a.fail(err); !errors.Is(err, want.err) {
			t.Errorf("%s is of the class %v", mode, err)
		}
		problem := strings.TrimSuffix(want.problem, " ("+recover+")")
		if text := said.String(); !strings.HasPrefix(text, "poolkeeper: the store is not ready: "+problem+"\nhint: ") || !strings.Contains(text, want.hint) || strings.Contains(text, "poolkeeper status") {
			t.Errorf("%s: %s", mode, text)
		}
	}
}

// TestStatusWithoutAService: of a Redis that is away status names the settings, which it
// shows, and other commands send to it.
func TestStatusWithoutAService(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	w := newWorld(t, srv.URL(), "alone:")
	srv.Stop()
	if _, errOut := expect(t, w.env, poolkeeper.ExitUnavailable, "", "status"); !strings.HasSuffix(errOut, "\nhint: start Redis, or correct its address where the SOURCE of the setting says\n") {
		t.Errorf("status: %s", errOut)
	}
	if _, errOut := expect(t, w.env, poolkeeper.ExitUnavailable, "", "config", "get"); !strings.HasSuffix(errOut, "poolkeeper status\n") {
		t.Errorf("config get: %s", errOut)
	}
}
