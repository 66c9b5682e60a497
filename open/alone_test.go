package open_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
)

// TestAlone: a state directory is one process's at a time, wherever its journal is.
func TestAlone(t *testing.T) {
	srv := redistest.Start(t)
	with := func(state, kind string) *settings.Settings {
		return resolve(t, map[string]string{"REDIS_URL": srv.SocketURL(), "POOLKEEPER_STATE_DIR": state, "POOLKEEPER_JOURNAL": kind})
	}
	outlasting := &open.Options{Outlast: true}
	first, err := open.Store(t.Context(), with(t.TempDir(), "disk"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.Restore(t.Context(), nil), first.Close()); err != nil {
		t.Fatal(err)
	}
	for _, kinds := range [][2]string{{"disk", "disk"}, {"disk", "memory"}, {"memory", "disk"}, {"memory", "memory"}} {
		state := t.TempDir()
		first, err := open.Store(t.Context(), with(state, kinds[0]), outlasting)
		if err != nil {
			t.Fatal(err)
		}
		second := with(state, kinds[1])
		st, err := open.Store(t.Context(), second, outlasting)
		if err == nil {
			st.Close()
		}
		if !errors.Is(err, poolkeeper.ErrUnavailable) || !strings.Contains(err.Error(), fmt.Sprintf("is in use by process %d", os.Getpid())) || poolkeeper.HintOf(err) == "" {
			t.Errorf("beside one with its journal on %s, one with it on %s: %v", kinds[0], kinds[1], err)
		}
		if err := first.Close(); err != nil {
			t.Error(err)
		}
		st, err = open.Store(t.Context(), second, outlasting)
		runtime.KeepAlive(first) // nothing is given back by being forgotten
		if err != nil {
			t.Errorf("after it, one with its journal on %s: %v", kinds[1], err)
			continue
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}

	// Without a disk there is nothing to be alone with.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := open.Store(t.Context(), with(filepath.Join(file, "state"), "memory"), outlasting)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Logf("closed: %v", err) // no snapshot could be written
	}
}
