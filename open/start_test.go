package open_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
)

// snapshotDir is where the last snapshot of the Redis of some settings is.
func snapshotDir(set *settings.Settings) string {
	return filepath.Dir(filepath.Dir(open.FallbackDir(set)))
}

// snapped fills the server and has a snapshot of it made.
func (o *outage) snapped() {
	o.Helper()
	o.filled().Close()
	st := o.open()
	o.until("a snapshot", func() bool {
		snap, _, err := configdir.ReadDir(o.Context(), open.FallbackDir(o.set), nil)
		return err == nil && snap.Provider(one) != nil
	})
	if err := st.Close(); err != nil {
		o.Fatal(err)
	}
}

// TestStartDoesNotWait: in whatever way Redis is away, a service serves the last
// snapshot without waiting for its timeouts, which are an hour here; and it ends
// without that.
func TestStartDoesNotWait(t *testing.T) {
	o := newOutage(t)
	o.snapped()
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	silent := "redis://" + l.Addr().String()
	o.srv.Pause()
	defer o.srv.Resume()
	for name, url := range map[string]string{
		"refused":                   "unix://" + filepath.Join(t.TempDir(), "nobody.sock"),
		"a stopped process":         o.srv.SocketURL(),
		"accepts and never answers": silent,
		"packets are lost":          "redis://" + redistest.Deaf(t),
		"silent sentinels":          silent + "," + redistest.Deaf(t) + "?master=m",
		"silent seeds":              silent + "," + redistest.Deaf(t) + "?cluster=true",
	} {
		t.Run(name, func(t *testing.T) {
			set := resolve(t, map[string]string{"REDIS_URL": url, "REDIS_COMMAND_TIMEOUT": "3600000", "REDIS_CONNECT_TIMEOUT": "3600000"})
			if err := os.CopyFS(snapshotDir(set), os.DirFS(snapshotDir(o.set))); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				began := time.Now()
				st, err := open.Store(t.Context(), set, &open.Options{Outlast: true})
				if err != nil {
					t.Error(err)
					return
				}
				t.Logf("it took %v", time.Since(began))
				if p, err := st.Provider(t.Context(), one); err != nil || p.Count(poolkeeper.UsageCount) != 5 {
					t.Errorf("the snapshot: %+v, %v", p, err)
				}
				if info, err := st.Info(t.Context()); err != nil || info.Mode != poolkeeper.ModeDegraded || !info.Serving {
					t.Errorf("%+v, %v", info, err)
				}
				if res, err := st.Usage(t.Context(), one, 1); err != nil || res.Status != poolkeeper.Queued {
					t.Errorf("a write: %+v, %v", res, err)
				}
				if err := st.Close(); err != nil {
					t.Error(err)
				}
				t.Logf("with its end %v", time.Since(began))
			}()
			select {
			case <-done:
			case <-time.After(30 * time.Second):
				t.Error("it waits for a timeout of Redis")
			}
		})
	}
}

// slow puts a proxy before the server that delays every reply, and opens.
func (o *outage) slow(delay, patience time.Duration) *poolkeeper.Store {
	o.Helper()
	o.snapped()
	open.SetPatience(o, patience)
	proxy := redistest.StartProxy(o, o.srv.SocketURL())
	proxy.Delay(delay)
	was := snapshotDir(o.set)
	o.set = resolve(o, map[string]string{"REDIS_URL": proxy.URL(), "REDIS_COMMAND_TIMEOUT": "10000"})
	if err := os.CopyFS(snapshotDir(o.set), os.DirFS(was)); err != nil {
		o.Fatal(err)
	}
	o.mu.Lock()
	o.modes = nil // of the one that has made the snapshot
	o.mu.Unlock()
	return o.open()
}

// TestStartWithASlowRedis: a Redis that takes long for every reply does not keep the
// service from serving the last snapshot, and is used as soon as it has answered.
func TestStartWithASlowRedis(t *testing.T) {
	o := newOutage(t)
	st := o.slow(100*time.Millisecond, 20*time.Millisecond)
	if p, err := st.Provider(t.Context(), one); err != nil || p.Count(poolkeeper.UsageCount) != 5 {
		t.Errorf("at once: %+v, %v", p, err)
	}
	if got := o.status(st.Usage(t.Context(), one, 1)); got != poolkeeper.Queued && got != poolkeeper.Applied {
		t.Errorf("a write: %s", got)
	}
	o.mode(st, poolkeeper.ModeOnline)
	o.until("the write", func() bool {
		p, err := st.Provider(poolkeeper.ReadCurrent(t.Context()), one)
		return err == nil && p.Count(poolkeeper.UsageCount) == 6
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.modes[0] != poolkeeper.ModeDegraded {
		t.Errorf("it waited for Redis: %v", o.modes)
	}
}

// TestStartWaitsForAnswers: a Redis that keeps answering is waited for, although all
// its answers together take longer than it may be silent.
func TestStartWaitsForAnswers(t *testing.T) {
	o := newOutage(t)
	o.slow(250*time.Millisecond, time.Second)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.modes, []poolkeeper.Mode{poolkeeper.ModeOnline}) {
		t.Errorf("the modes are %v", o.modes)
	}
}

// TestAwayBeforeTheCopy: a Redis that was there when the service started, and went away
// before the copy was made, leaves the last snapshot to be read.
func TestAwayBeforeTheCopy(t *testing.T) {
	o := newOutage(t)
	o.snapped()
	proxy := redistest.StartProxy(t, o.srv.SocketURL())
	proxy.CutBeforeRequest(-1, "SUBSCRIBE", "SSUBSCRIBE") // no copy is made
	was, direct := snapshotDir(o.set), o.direct()
	o.set = resolve(t, map[string]string{"REDIS_URL": proxy.URL(), "REDIS_COMMAND_TIMEOUT": "500", "REDIS_CONNECT_TIMEOUT": "500"})
	if err := os.CopyFS(snapshotDir(o.set), os.DirFS(was)); err != nil {
		t.Fatal(err)
	}
	st := o.open()
	o.mode(st, poolkeeper.ModeOnline)
	proxy.Down()
	o.mode(st, poolkeeper.ModeDegraded)
	if p, err := st.Provider(t.Context(), one); err != nil || p.Count(poolkeeper.UsageCount) != 5 {
		t.Errorf("while it is away: %+v, %v", p, err)
	}
	if info, err := st.Info(t.Context()); err != nil || !info.Serving {
		t.Errorf("while it is away: %+v, %v", info, err)
	}
	if _, err := direct.Usage(t.Context(), one, 1); err != nil {
		t.Fatal(err)
	}
	proxy.Clear()
	proxy.Up()
	o.until("the copy", func() bool {
		p, err := st.Provider(t.Context(), one)
		return err == nil && p.Count(poolkeeper.UsageCount) == 6
	})
}
