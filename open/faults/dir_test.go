package faults_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
)

// TestFaultsOneDirectory: a state directory is of one process at a time; another one
// is told which.
func TestFaultsOneDirectory(t *testing.T) {
	srv := redistest.Start(t)
	fill(t, srv.SocketURL())
	in := newInstance(t, 0, srv.Socket(), spec{Callers: 1})
	in.start()
	in.opened()
	set, err := resolve(in.spec.URL, in.spec.Dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := open.Store(t.Context(), set, &open.Options{Outlast: true})
	if err == nil {
		st.Close()
	}
	if pid := strconv.Itoa(in.cmd.Process.Pid); !errors.Is(err, poolkeeper.ErrUnavailable) || !strings.Contains(err.Error(), pid) {
		t.Errorf("the second one: %v; want one that names process %s", err, pid)
	}
	in.end()
	if st, err = open.Store(t.Context(), set, &open.Options{Outlast: true}); err != nil {
		t.Fatalf("when it has ended: %v", err)
	}
	st.Close()
}

// copyState copies a state directory as people do.
func copyState(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(to, "state"), os.DirFS(filepath.Join(from, "state"))); err != nil {
		t.Fatal(err)
	}
}

// TestFaultsCopiedDirectory: what was sent before a state directory was copied counts
// once, also where both directories are used at the same time.
func TestFaultsCopiedDirectory(t *testing.T) {
	for what, cut := range map[string]func(*redistest.Proxy){
		"executed":     func(p *redistest.Proxy) { p.CutAfterRequest(-1, "EVALSHA", "EVAL") },
		"not executed": func(p *redistest.Proxy) { p.CutBeforeRequest(-1, "EVALSHA", "EVAL") },
	} {
		t.Run(what, func(t *testing.T) {
			srv := redistest.Start(t, redistest.WithAOF("always"))
			st := fill(t, srv.SocketURL())
			for p := range poolCount {
				if _, err := st.Usage(t.Context(), refOf(p), 100); err != nil {
					t.Fatal(err)
				}
			}
			// One caller for each pool, so that nobody queues behind what was sent.
			in := newInstance(t, 0, srv.Socket(), spec{Callers: poolCount, Once: true})
			cut(in.proxy)
			in.start()
			in.opened()
			until(t, "ops are queued", func() bool {
				_, queued := in.read().counts()
				return queued == poolCount
			})
			in.kill()
			twin := newInstance(t, 1, srv.Socket(), spec{})
			copyState(t, in.spec.Dir, twin.spec.Dir)
			had, err := backlog.Inspect(filepath.Join(twin.spec.Dir, "state", "journal"))
			if err != nil || had.State.Frozen != poolCount || had.State.Ops != poolCount {
				t.Fatalf("the copy has %+v, %v", had, err)
			}
			in.proxy.Clear()
			in.spec.Callers = 0
			in.start()
			twin.start()
			in.opened()
			twin.opened()
			in.end()
			twin.end()
			if err := errors.Join(in.rec.close(), twin.rec.close()); err != nil {
				t.Fatal(err)
			}
			for p := range poolCount {
				key, field := countKey(p)
				if stored, _ := strconv.ParseInt(srv.DoString("HGET", key, field), 10, 64); stored != 100+in.rec.sure[p] {
					t.Errorf("provider %d: %d are stored, and %d were acknowledged", p, stored, 100+in.rec.sure[p])
				}
			}
			if n := len(in.rec.aside) + len(twin.rec.aside); n > 0 {
				t.Errorf("%d ops were set aside: %v, %v", n, in.rec.aside, twin.rec.aside)
			}
		})
	}
}

// TestFaultsCopiedUnsent: what was not sent before a state directory was copied counts
// once, also where both directories are used at the same time: one of them is refused,
// and sets it aside. So it is with what goes on in another request than the one that
// was sent, as a first count does.
func TestFaultsCopiedUnsent(t *testing.T) {
	for what, cut := range map[string]func(*redistest.Proxy){
		"never sent":                nil,
		"first count, executed":     func(p *redistest.Proxy) { p.CutAfterRequest(-1, "EVALSHA", "EVAL") },
		"first count, not executed": func(p *redistest.Proxy) { p.CutBeforeRequest(-1, "EVALSHA", "EVAL") },
	} {
		t.Run(what, func(t *testing.T) {
			srv := redistest.Start(t, redistest.WithAOF("always"))
			fill(t, srv.SocketURL())
			in := newInstance(t, 0, srv.Socket(), spec{})
			in.start()
			in.opened()
			in.end()
			if cut == nil {
				srv.Kill()
			} else {
				cut(in.proxy)
			}
			in.spec.Callers, in.spec.Once = poolCount, true
			in.start()
			in.opened()
			until(t, "ops are queued", func() bool {
				_, queued := in.read().counts()
				return queued == poolCount
			})
			in.kill()
			twin := newInstance(t, 1, srv.Socket(), spec{})
			copyState(t, in.spec.Dir, twin.spec.Dir)
			frozen := poolCount
			if cut == nil {
				frozen = 0
				srv.Restart()
			}
			had, err := backlog.Inspect(filepath.Join(twin.spec.Dir, "state", "journal"))
			if err != nil || had.State.Frozen != frozen || had.State.Ops != poolCount {
				t.Fatalf("the copy has %+v, %v", had, err)
			}
			in.proxy.Clear()
			in.spec.Callers = 0
			in.start()
			twin.start()
			in.opened()
			twin.opened()
			in.end()
			twin.end()
			if err := errors.Join(in.rec.close(), twin.rec.close()); err != nil {
				t.Fatal(err)
			}
			for p := range poolCount {
				key, field := countKey(p)
				if stored, _ := strconv.ParseInt(srv.DoString("HGET", key, field), 10, 64); stored != in.rec.sure[p] {
					t.Errorf("provider %d: %d are stored, and %d were acknowledged", p, stored, in.rec.sure[p])
				}
			}
			if a, b := len(in.rec.aside), len(twin.rec.aside); a+b != poolCount || a*b != 0 {
				t.Errorf("set aside are %v and %v", in.rec.aside, twin.rec.aside)
			}
			refused := 0
			for _, i := range []*instance{in, twin} {
				refused += strings.Count(i.log.String(), "a copy of the state directory was brought to the store before this one")
			}
			if refused != 1 {
				t.Errorf("%d were refused, want one", refused)
			}
		})
	}
}
