package open_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
)

func resolve(t testing.TB, env map[string]string) *settings.Settings {
	t.Helper()
	state := env["POOLKEEPER_STATE_DIR"]
	if state == "" {
		state = t.TempDir()
	}
	s, err := settings.Resolve(settings.Input{
		Flags: map[string]string{"config-dir": t.TempDir(), "state-dir": state},
		Env:   func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMemory(t *testing.T) {
	s := resolve(t, nil)
	s.Backend = settings.BackendMemory
	st, err := open.Store(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	checkFresh(t, st, "memory")
}

// TestFile opens a directory where nothing says that there is a Redis. Several
// directories share a state directory.
func TestFile(t *testing.T) {
	state := t.TempDir()
	for range 2 {
		s := resolve(t, map[string]string{"POOLKEEPER_STATE_DIR": state})
		if open.Begun(s) {
			t.Error("it was not opened yet")
		}
		st, err := open.Store(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		checkFresh(t, st, "file")
		if !open.Begun(s) {
			t.Error("it was opened")
		}
		if _, err := open.Store(t.Context(), s, nil); !errors.Is(err, poolkeeper.ErrUnavailable) {
			t.Errorf("a second one: %v", err)
		}
	}
}

func TestRedis(t *testing.T) {
	srv := redistest.Start(t, redistest.WithPassword("a-password"))
	s := resolve(t, map[string]string{
		"REDIS_HOST": "127.0.0.1", "REDIS_PORT": strconv.Itoa(srv.Port()), "REDIS_PASSWORD": "a-password", "REDIS_DB": "3", "REDIS_KEY_PREFIX": "one:",
	})
	now := time.UnixMilli(1_780_000_000_000)
	st, err := open.Store(t.Context(), s, &open.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	checkFresh(t, st, "redis")
	if n := len(srv.Keys("one:*")); n != 0 {
		t.Errorf("%d keys in database 0, and it is database 3", n)
	}
}

// checkFresh initialises the store and writes to it.
func checkFresh(t *testing.T, st *poolkeeper.Store, backend string) {
	t.Helper()
	ctx := t.Context()
	info, err := st.Info(ctx)
	if err != nil || info.Backend != backend || info.Ready {
		t.Fatalf("got %+v %v", info, err)
	}
	if _, err := st.Types(ctx); !errors.Is(err, poolkeeper.ErrUninitialized) {
		t.Fatalf("got %v", err)
	}
	if err := st.Restore(ctx, poolkeeper.NewSnapshot()); err != nil {
		t.Fatal(err)
	}
	if _, err := st.AddProvider(ctx, "a", []byte(`{"uuid":"1"}`)); err != nil {
		t.Fatal(err)
	}
	if res, err := st.Usage(ctx, poolkeeper.Ref{Type: "a", ID: "1"}, 5); err != nil || res.Count != 5 {
		t.Fatalf("got %+v %v", res, err)
	}
}

func TestRefusals(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for name, c := range map[string]struct {
		env  map[string]string
		want error
	}{
		"not there": {map[string]string{"REDIS_URL": "redis://127.0.0.1:1", "REDIS_CONNECT_TIMEOUT": "500"}, poolkeeper.ErrUnavailable},
		"no socket": {map[string]string{"REDIS_URL": "unix:///nowhere/redis.sock"}, poolkeeper.ErrUnavailable},
		"no host":   {map[string]string{"REDIS_URL": "redis://:1/x"}, poolkeeper.ErrInvalid},
	} {
		if _, err := open.Store(ctx, resolve(t, c.env), nil); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := open.Store(ctx, &settings.Settings{Backend: "other"}, nil); !errors.Is(err, poolkeeper.ErrInvalid) {
		t.Errorf("unknown backend: %v", err)
	}
}
