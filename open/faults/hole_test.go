package faults_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/open"
)

// TestFaultsNoAnswer: while nothing is answered, and no connection breaks either,
// reads go on as ever, each write is acknowledged as queued, what changed is said
// once, and nothing grows.
func TestFaultsNoAnswer(t *testing.T) {
	for what, fault := range map[string]func(*redistest.Server, *redistest.Proxy, bool){
		"redis-server stopped": func(srv *redistest.Server, _ *redistest.Proxy, on bool) {
			if on {
				srv.Pause()
			} else {
				srv.Resume()
			}
		},
		"everything dropped": func(_ *redistest.Server, p *redistest.Proxy, on bool) { p.Blackhole(on) },
	} {
		t.Run(what, func(t *testing.T) {
			srv := redistest.Start(t, redistest.WithAOF("always"))
			fill(t, srv.SocketURL())
			proxy := redistest.StartProxy(t, srv.Socket())
			h := openHole(t, proxy.URL())
			before := h.reads(time.Second)
			calm := h.sizes()
			fault(srv, proxy, true)
			h.writes()
			during := h.reads(*faultsHole)
			h.stop()
			held := h.sizes()
			fault(srv, proxy, false)
			h.mode(poolkeeper.ModeOnline)
			after := h.sizes()
			t.Logf("a look-up in the view, p99: %v before, %v meanwhile (%.2f times); a read of a provider: %v, %v (%.2f times)",
				before.view, during.view, float64(during.view)/float64(before.view), before.load, during.load, float64(during.load)/float64(before.load))
			t.Logf("goroutines %d, %d meanwhile, %d after; memory %d, %d, %d KiB", calm.goroutines, held.goroutines, after.goroutines, calm.heap>>10, held.heap>>10, after.heap>>10)
			if held.goroutines > calm.goroutines+100 || after.goroutines > calm.goroutines+100 || held.heap > calm.heap+16<<20 || after.heap > calm.heap+16<<20 {
				t.Errorf("it grows: %+v, %+v, %+v", calm, held, after)
			}
			h.checkLog()
			h.checkCounts(srv)
		})
	}
}

// A hole is a store of this process, and what is counted on it while nothing is
// answered.
type hole struct {
	*testing.T
	st     *poolkeeper.Store
	log    *lines
	turned atomic.Int64
	acked  [providerCount]atomic.Int64
	ended  chan struct{}
	work   sync.WaitGroup
}

// lines are what was logged.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(p))
	return len(p), nil
}

// logger logs without the time.
func logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func openHole(t *testing.T, url string) *hole {
	t.Helper()
	h := &hole{T: t, log: &lines{}, ended: make(chan struct{})}
	set, err := resolve(url, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h.st, err = open.Store(t.Context(), set, &open.Options{Outlast: true, Logger: logger(h.log),
		Turned: func(_, _ poolkeeper.Mode) { h.turned.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.st.Close() })
	h.mode(poolkeeper.ModeOnline)
	return h
}

// usage counts one, and reports how it was acknowledged.
func (h *hole) usage(provider int) poolkeeper.Status {
	// An answer that takes this much longer than a command may was not given because
	// of the time that one takes.
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout+15*time.Second)
	defer cancel()
	res, err := h.st.Usage(ctx, refOf(provider), 1)
	if err != nil {
		h.Errorf("an increment: %v", err)
		return ""
	}
	h.acked[provider].Add(1)
	return res.Status
}

// writes has everybody write: at once those whom nothing tells that there will be no
// answer, then, for as long as nothing is answered, those who need not wait for it.
func (h *hole) writes() {
	h.Helper()
	began := time.Now()
	var first sync.WaitGroup
	for p := range providerCount {
		first.Go(func() {
			if got := h.usage(p); got != poolkeeper.Queued {
				h.Errorf("the first write to provider %d: %s", p, got)
			}
		})
	}
	first.Wait()
	h.Logf("%d writes at once had their answers after %v, where a command may take %v", providerCount, time.Since(began).Round(time.Millisecond), commandTimeout)
	h.mode(poolkeeper.ModeDegraded, poolkeeper.ModeFallback)
	began = time.Now()
	const many = 1000
	for n := range many { // with a wait for each it would be minutes
		if got := h.usage(n % providerCount); got != poolkeeper.Queued {
			h.Fatalf("a write: %s", got)
		}
	}
	if took := time.Since(began); took > many*commandTimeout/4 {
		h.Errorf("%d writes took %v: they wait for a store that is known to be away", many, took)
	} else {
		h.Logf("%d writes, one after the other, took %v", many, took.Round(time.Millisecond))
	}
	for range 20 {
		h.work.Go(func() {
			for {
				select {
				case <-h.ended:
					return
				case <-time.After(20 * time.Millisecond):
					h.usage(rand.IntN(providerCount))
				}
			}
		})
	}
}

// stop ends the writes.
func (h *hole) stop() {
	close(h.ended)
	h.work.Wait()
}

// A pace is how long most reads take at the longest.
type pace struct{ view, load time.Duration }

// reads reads for a while, all of which have to succeed.
func (h *hole) reads(lasts time.Duration) pace {
	h.Helper()
	var view, load []time.Duration
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		for i := range providerCount {
			began := time.Now()
			v, err := h.st.View(context.Background())
			if err != nil || v.Provider(refOf(i)) == nil {
				h.Fatalf("provider %d is not in the view: %v", i, err)
			}
			between := time.Now()
			if _, err := h.st.Provider(context.Background(), refOf(i)); err != nil {
				h.Fatalf("provider %d: %v", i, err)
			}
			view, load = append(view, between.Sub(began)), append(load, time.Since(between))
		}
		time.Sleep(5 * time.Millisecond)
	}
	p99 := func(all []time.Duration) time.Duration {
		slices.Sort(all)
		return all[len(all)*99/100]
	}
	return pace{p99(view), p99(load)}
}

// sizes is what could grow, once it has settled.
func (h *hole) sizes() sample {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return sample{goroutines: runtime.NumGoroutine(), heap: int64(m.HeapAlloc)}
}

// mode waits until the store is in one of some modes.
func (h *hole) mode(want ...poolkeeper.Mode) {
	h.Helper()
	until(h.T, fmt.Sprint(want), func() bool {
		info, err := h.st.Info(context.Background())
		return err == nil && slices.Contains(want, info.Mode)
	})
}

// checkLog checks that there is one line for each transition, and each that was to
// come was once.
func (h *hole) checkLog() {
	h.Helper()
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	count := func(word string) (n int) {
		for _, line := range h.log.all {
			if strings.Contains(line, word) {
				n++
			}
		}
		return n
	}
	for word, want := range map[string]int{
		" mode=":                    int(h.turned.Load()),
		" mode=online":              2,
		" mode=degraded":            1,
		" mode=fallback":            1,
		"are not heard":             0, // it is said by the mode
		"the copy is current again": 0,
	} {
		if got := count(word); got != want {
			h.Errorf("%d lines with %q, want %d", got, word, want)
		}
	}
	if len(h.log.all) > 10 {
		h.Errorf("there are %d lines", len(h.log.all))
	}
	if h.Failed() {
		h.Logf("logged was:\n%s", strings.Join(h.log.all, ""))
	}
}

// checkCounts compares what is stored with what was acknowledged.
func (h *hole) checkCounts(srv *redistest.Server) {
	h.Helper()
	for p := range providerCount {
		key, field := countKey(p)
		if got, want := srv.DoString("HGET", key, field), strconv.FormatInt(h.acked[p].Load(), 10); got != want {
			h.Errorf("provider %d: %s are stored, and %s were acknowledged", p, got, want)
		}
	}
}
