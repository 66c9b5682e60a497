package open_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/poolkeeper/poolkeeper/replica/snapshot"
)

// An outage is a server and what outlasts it.
type outage struct {
	*testing.T
	srv   *redistest.Server
	set   *settings.Settings
	log   *slog.Logger
	mu    sync.Mutex
	modes []poolkeeper.Mode
}

func newOutage(t *testing.T, opts ...redistest.Option) *outage {
	o := &outage{T: t, srv: redistest.Start(t, opts...)}
	o.set = resolve(t, map[string]string{"REDIS_URL": o.srv.SocketURL(), "REDIS_COMMAND_TIMEOUT": "500", "REDIS_CONNECT_TIMEOUT": "500", "POOLKEEPER_FALLBACK_AFTER": "1s"})
	return o
}

// open opens the store as the service does.
func (o *outage) open() *poolkeeper.Store {
	o.Helper()
	st, err := open.Store(o.Context(), o.set, &open.Options{Outlast: true, Logger: o.log, SnapshotEvery: 100 * time.Millisecond, Turned: func(_, to poolkeeper.Mode) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.modes = append(o.modes, to)
	}})
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() { st.Close() })
	return st
}

// direct opens the store as a command does.
func (o *outage) direct() *poolkeeper.Store {
	o.Helper()
	st, err := open.Store(o.Context(), o.set, nil)
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() { st.Close() })
	return st
}

func (o *outage) until(what string, ok func() bool) {
	o.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			o.Fatalf("in vain for half a minute: %s", what)
		}
	}
}

func (o *outage) mode(st *poolkeeper.Store, want poolkeeper.Mode) {
	o.Helper()
	o.until(string(want), func() bool {
		info, err := st.Info(o.Context())
		return err == nil && info.Mode == want
	})
}

func (o *outage) status(res poolkeeper.Result, err error) poolkeeper.Status {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
	return res.Status
}

// queued is what waits in increments of one.
func (o *outage) queued(st *poolkeeper.Store) int64 {
	o.Helper()
	p, err := st.Provider(o.Context(), one)
	if err != nil {
		o.Fatal(err)
	}
	return p.Count(poolkeeper.UsageCount) - 6
}

var one = poolkeeper.Ref{Type: "kiro", ID: "a"}

func (o *outage) filled() *poolkeeper.Store {
	o.Helper()
	st := o.direct()
	snap := poolkeeper.NewSnapshot()
	snap.AddPool(&poolkeeper.Pool{Type: "kiro", Providers: []poolkeeper.Provider{
		{Ref: one, Definition: []byte(`{"uuid":"a","usageCount":5}`)},
		{Ref: poolkeeper.Ref{Type: "kiro", ID: "b"}, Definition: []byte(`{"uuid":"b"}`)},
	}})
	snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{"a":1}`)}
	if err := st.Restore(o.Context(), snap); err != nil {
		o.Fatal(err)
	}
	if _, err := st.SetPassword(o.Context(), "correct horse battery"); err != nil {
		o.Fatal(err)
	}
	return st
}

// TestOutage: with Redis gone, all that can wait is acknowledged as queued and read
// at once; when it is back it is there, once; and each transition is one.
func TestOutage(t *testing.T) {
	o := newOutage(t, redistest.WithAOF("always"))
	o.filled()
	ctx := t.Context()
	st := o.open()
	o.mode(st, poolkeeper.ModeOnline)
	if got := o.status(st.Usage(ctx, one, 1)); got != poolkeeper.Applied {
		t.Fatalf("with Redis there: %s", got)
	}
	o.srv.Stop()
	// What was on its way may have been counted: its count shows when that is known.
	if got := o.status(st.Usage(ctx, poolkeeper.Ref{Type: "kiro", ID: "b"}, 1)); got != poolkeeper.Queued {
		t.Errorf("the first one: %s", got)
	}
	o.mode(st, poolkeeper.ModeDegraded)
	for what, got := range map[string]poolkeeper.Status{
		"usage":    o.status(st.Usage(ctx, one, 10)),
		"error":    o.status(st.Error(ctx, poolkeeper.Ref{Type: "kiro", ID: "b"}, poolkeeper.Failure{Message: "no", Unhealthy: true})),
		"patch":    o.status(st.PatchProvider(ctx, one, poolkeeper.MergePatch, []byte(`{"x":1}`), poolkeeper.Always)),
		"add":      o.status(st.AddProvider(ctx, "kiro", []byte(`{"uuid":"c"}`))),
		"new pool": o.status(st.AddProvider(ctx, "new", []byte(`{"uuid":"n"}`))),
		"config":   o.status(st.PutConfig(ctx, []byte(`{"a":2}`), poolkeeper.Always)),
		"session":  o.status(st.PutSession(ctx, "bearer", []byte(`{"u":1}`), time.Now().Add(time.Hour))),
	} {
		if got != poolkeeper.Queued {
			t.Errorf("%s: %s", what, got)
		}
	}
	if got := o.status(st.Usage(ctx, one, 100)); got != poolkeeper.Queued {
		t.Errorf("once more: %s", got)
	}
	check := func(st *poolkeeper.Store, when string) {
		t.Helper()
		p, err := st.Provider(ctx, one)
		if err != nil || p.Count(poolkeeper.UsageCount) != 116 || string(p.Definition) != `{"uuid":"a","usageCount":5,"x":1}` {
			t.Errorf("%s: %+v, %v", when, p, err)
		}
		view, err := st.View(ctx)
		if err != nil || view.Provider(one).Count(poolkeeper.UsageCount) != 116 || view.Pool("new") == nil || !slices.Equal(view.Types(), []string{"kiro", "new"}) {
			t.Errorf("%s: a view of %+v, %v", when, view, err)
		}
		pool, err := st.Pool(ctx, "kiro")
		if err != nil || len(pool.Providers) != 3 || pool.Provider("b").Healthy() {
			t.Errorf("%s: %+v, %v", when, pool, err)
		}
		if d, err := st.Config(ctx); err != nil || string(d.Data) != `{"a":2}` {
			t.Errorf("%s: config %s, %v", when, d.Data, err)
		}
		if _, err := st.Session(ctx, "bearer"); err != nil {
			t.Errorf("%s: the session: %v", when, err)
		}
		if ok, err := st.VerifyPassword(ctx, "correct horse battery"); !ok || err != nil {
			t.Errorf("%s: the password: %v", when, err)
		}
		for _, bearer := range []string{"", "random"} {
			if _, err := st.Session(ctx, bearer); !errors.Is(err, poolkeeper.ErrNotFound) {
				t.Errorf("%s: the session %q: %v", when, bearer, err)
			}
		}
	}
	check(st, "queued")
	if _, err := st.RenameProvider(ctx, one, "z", poolkeeper.Always); !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Errorf("a rename: %v", err)
	}
	o.mode(st, poolkeeper.ModeFallback)
	info, err := st.Info(ctx)
	if err != nil || info.Ready || !info.Serving || info.Problem == "" || info.Queue.Ops == 0 || info.Backend != "redis" || info.Target == "" {
		t.Errorf("away: %+v, %v", info, err)
	}

	// The next process has all of it from the journal, and no copy but the directory.
	o.srv.Restart()
	o.mode(st, poolkeeper.ModeOnline)
	check(st, "applied")
	check(o.direct(), "read from Redis")
	if info, err := st.Info(ctx); err != nil || !info.Ready || info.Queue.Ops+info.Queue.Frozen+info.Queue.Aside != 0 {
		t.Errorf("back: %+v, %v", info, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	modes := slices.DeleteFunc(o.modes, func(m poolkeeper.Mode) bool { return m == poolkeeper.ModeReplaying }) // which may be too short to be seen
	if want := []poolkeeper.Mode{poolkeeper.ModeOnline, poolkeeper.ModeDegraded, poolkeeper.ModeFallback, poolkeeper.ModeOnline}; !slices.Equal(modes, want) {
		t.Errorf("the modes were %v, want %v", modes, want)
	}
}

// TestEmptyServesTheDirectory: an empty Redis has the directory served, and what is
// written meanwhile comes on top of what initialises it.
func TestEmptyServesTheDirectory(t *testing.T) {
	o := newOutage(t)
	dir := o.set.ConfigDir
	for name, text := range map[string]string{"config.json": `{"a":1}`, "provider_pools.json": `{"kiro":[{"uuid":"a","usageCount":5}]}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	st := o.open()
	o.mode(st, poolkeeper.ModeEmpty)
	if p, err := st.Provider(ctx, one); err != nil || p.Count(poolkeeper.UsageCount) != 5 {
		t.Fatalf("%+v, %v", p, err)
	}
	if got := o.status(st.Usage(ctx, one, 10)); got != poolkeeper.Queued {
		t.Errorf("a write: %s", got)
	}
	if p, err := st.Provider(ctx, one); err != nil || p.Count(poolkeeper.UsageCount) != 15 {
		t.Errorf("%+v, %v", p, err)
	}
	snap := poolkeeper.NewSnapshot()
	snap.AddPool(&poolkeeper.Pool{Type: "kiro", Providers: []poolkeeper.Provider{{Ref: one, Definition: []byte(`{"uuid":"a","usageCount":5}`)}}})
	if err := o.direct().Restore(ctx, snap); err != nil {
		t.Fatal(err)
	}
	o.mode(st, poolkeeper.ModeOnline)
	if p, err := st.Provider(poolkeeper.ReadCurrent(ctx), one); err != nil || p.Count(poolkeeper.UsageCount) != 15 {
		t.Errorf("in Redis: %+v, %v", p, err)
	}
	if p, err := st.Provider(ctx, one); err != nil || p.Count(poolkeeper.UsageCount) != 15 {
		t.Errorf("in the copy: %+v, %v", p, err)
	}
}

// TestStartWithoutRedis: the service starts with Redis away, and goes online later.
func TestStartWithoutRedis(t *testing.T) {
	o := newOutage(t, redistest.WithAOF("always"))
	o.filled()
	ctx := t.Context()
	o.srv.Stop()
	st := o.open()
	if got := o.status(st.Usage(ctx, one, 10)); got != poolkeeper.Queued {
		t.Errorf("a write: %s", got)
	}
	if _, err := st.Pool(ctx, "kiro"); !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Errorf("with no copy: %v", err)
	}
	if info, err := st.Info(ctx); err != nil || info.Serving || info.Mode != poolkeeper.ModeDegraded {
		t.Errorf("%+v, %v", info, err)
	}
	o.srv.Restart()
	o.mode(st, poolkeeper.ModeOnline)
	o.until("the copy", func() bool {
		p, err := st.Provider(ctx, one)
		return err == nil && p.Count(poolkeeper.UsageCount) == 15
	})
}

// TestSnapshot: a service that starts with Redis away serves the last snapshot, with
// what waits in the journal on top, once; and what is on the disk is what is served.
func TestSnapshot(t *testing.T) {
	o := newOutage(t, redistest.WithAOF("always"))
	o.filled()
	ctx := t.Context()
	st := o.open()
	o.status(st.Usage(ctx, one, 1))
	o.status(st.PutFile(ctx, "configs/prompt.txt", []byte("carried"), poolkeeper.Always))
	o.until("a snapshot", func() bool {
		snap, _, err := configdir.ReadDir(ctx, open.FallbackDir(o.set), nil)
		return err == nil && snap.Provider(one) != nil && len(snap.KeysOf(poolkeeper.KindFile)) > 0
	})
	o.srv.Stop()
	o.status(st.Usage(ctx, poolkeeper.Ref{Type: "kiro", ID: "b"}, 1))
	o.mode(st, poolkeeper.ModeDegraded)
	o.status(st.Usage(ctx, one, 10))
	o.mode(st, poolkeeper.ModeFallback)
	served := func(what string) {
		t.Helper()
		o.until(what, func() bool {
			snap, _, err := configdir.ReadDir(ctx, open.FallbackDir(o.set), nil)
			return err == nil && snap.Provider(one).Count(poolkeeper.UsageCount) == 16
		})
	}
	served("what waits, on the disk")
	st.Close()

	began := time.Now()
	st = o.open()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the start took %s", took)
	}
	if p, err := st.Provider(ctx, one); err != nil || p.Count(poolkeeper.UsageCount) != 16 {
		t.Errorf("after a new start: %+v, %v", p, err)
	}
	if ok, err := st.VerifyPassword(ctx, "correct horse battery"); !ok || err != nil {
		t.Errorf("the password: %v", err)
	}
	if ok, err := st.VerifyPassword(ctx, "admin123"); ok || err != nil {
		t.Errorf("a default password: %v", err)
	}
	if got := o.status(st.Usage(ctx, one, 100)); got != poolkeeper.Queued {
		t.Errorf("a write: %s", got)
	}
	o.srv.Restart()
	o.mode(st, poolkeeper.ModeOnline)
	for _, ctx := range []context.Context{ctx, poolkeeper.ReadCurrent(ctx)} {
		if p, err := st.Provider(ctx, one); err != nil || p.Count(poolkeeper.UsageCount) != 116 {
			t.Errorf("in the end: %+v, %v", p, err)
		}
	}
}

// TestRecover: a Redis that has lost everything is not believed, and recover puts all
// of it back from one of several instances; what was queued comes on top, once.
func TestRecover(t *testing.T) {
	for name, lose := range map[string]func(*outage){
		"while running": func(o *outage) { o.srv.FlushAll() },
		"restarted":     func(o *outage) { o.srv.Kill(); o.srv.Restart() },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOutage(t)
			o.filled()
			ctx := t.Context()
			st := o.open()
			other := *o.set
			other.StateDir = t.TempDir()
			second, err := open.Store(ctx, &other, &open.Options{Outlast: true})
			if err != nil {
				t.Fatal(err)
			}
			defer second.Close()
			o.status(st.Usage(ctx, one, 1))
			o.status(st.PutToken(ctx, one, []byte(`{"refreshToken":"FAKE"}`), poolkeeper.Always))
			o.status(st.PutFile(ctx, "configs/prompt.txt", []byte("carried"), poolkeeper.Always))
			o.until("a snapshot", func() bool {
				snap, err := snapshot.Files(ctx, filepath.Dir(filepath.Dir(open.FallbackDir(o.set))))
				return err == nil && len(snap.KeysOf(poolkeeper.KindFile)) > 0
			})
			before, err := o.direct().Snapshot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			o.until("the other one has it", func() bool {
				p, err := second.Provider(ctx, one)
				return err == nil && p.Count(poolkeeper.UsageCount) == 6
			})
			if _, err := st.Backend().(poolkeeper.Recoverer).Recover(ctx, false); !errors.Is(err, poolkeeper.ErrConflict) {
				t.Errorf("with nothing lost: %v", err)
			}
			lose(o)
			for i, st := range []*poolkeeper.Store{st, second} {
				o.until("a write is queued", func() bool { return o.status(st.Usage(ctx, one, 10)) == poolkeeper.Queued })
				o.mode(st, poolkeeper.ModeLost)
				if p, err := st.Provider(ctx, one); err != nil || p.Count(poolkeeper.UsageCount) < 16 {
					t.Errorf("instance %d reads %+v, %v", i, p, err)
				}
			}
			if n := len(o.srv.Keys("*")); n != 0 {
				t.Errorf("%d keys were written into the emptiness", n)
			}
			queued := o.queued(st) + o.queued(second)
			done, err := st.Backend().(poolkeeper.Recoverer).Recover(ctx, false)
			if err != nil || done.By != poolkeeper.RecoveredByThis || done.Providers != 2 || done.Tokens != 1 || done.Files != 1 {
				t.Fatalf("%+v, %v", done, err)
			}
			o.mode(st, poolkeeper.ModeOnline)
			o.mode(second, poolkeeper.ModeOnline)
			if done, err := second.Backend().(poolkeeper.Recoverer).Recover(ctx, false); err != nil || done.By != poolkeeper.RecoveredByOther {
				t.Errorf("by the other one: %+v, %v", done, err)
			}
			if done, err := st.Backend().(poolkeeper.Recoverer).Recover(ctx, false); !errors.Is(err, poolkeeper.ErrConflict) {
				t.Errorf("a second time: %+v, %v", done, err)
			}
			after, err := o.direct().Snapshot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if got := after.Provider(one).Count(poolkeeper.UsageCount); got != 6+queued {
				t.Errorf("the count is %d, want %d", got, 6+queued)
			}
			for key, d := range before.Values {
				if got := after.Values[key]; string(got.Data) != string(d.Data) {
					t.Errorf("%s is %q, want %q", key, got.Data, d.Data)
				}
			}
			for i, st := range []*poolkeeper.Store{st, second} {
				o.until("the copy", func() bool {
					p, err := st.Provider(ctx, one)
					return err == nil && p.Count(poolkeeper.UsageCount) == 6+queued
				})
				if info, err := st.Info(ctx); err != nil || info.Queue.Aside != 0 || info.Epoch == before.Meta["epoch"] {
					t.Errorf("instance %d: %+v, %v", i, info, err)
				}
			}
		})
	}
}
