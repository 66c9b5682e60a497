package redisstore_test

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// An exactForm is the size of a run, and what goes wrong in it.
type exactForm struct {
	Mode                exactMode
	Seed                uint64
	Procs, Callers, Ops int
}

// exactLimit bounds a run.
const exactLimit = 5 * time.Minute

// An exactRun is one run: a server, processes that work on it, faults, and
// readers that watch.
type exactRun struct {
	*testing.T
	exactForm
	srv     *redistest.Server
	dir     string
	rand    *rand.Rand // of the run's own goroutine
	began   time.Time
	procs   []*exactProcess // all that there ever were
	proxies []*redistest.Proxy
	pauses  int
	readers sync.WaitGroup
	watched exactWatch
}

// startExactRun starts a server with the content of a run.
func startExactRun(t *testing.T, form exactForm) *exactRun {
	r := &exactRun{T: t, exactForm: form, srv: redistest.Start(t), dir: t.TempDir(), rand: rand.New(rand.NewPCG(form.Seed, 0))}
	s, err := openExact(t.Context(), r.srv.SocketURL(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Restore(t.Context(), exactStart()); err != nil {
		t.Fatal(err)
	}
	// Who is renamed had its other id once already: from now on each of the
	// ids reaches it at any time.
	for _, c := range exactCounters {
		if len(c.ids) > 1 {
			for i := range 2 {
				if _, err := s.RenameProvider(t.Context(), c.ref(c.ids[i]), c.ids[1-i], poolkeeper.Always); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return r
}

// finish does the run and the checks.
func (r *exactRun) finish() {
	ctx, cancel := context.WithTimeout(r.Context(), exactLimit)
	defer cancel()
	r.Cleanup(r.killAll)
	r.Cleanup(r.readers.Wait)
	r.began = time.Now()
	reading, stop := context.WithCancel(ctx)
	defer stop()
	r.watch(reading)
	url, proxy := r.address(-1)
	changer := r.launch(&exactProcess{role: exactChanging, slot: -1, proxy: proxy, exactSpec: exactSpec{URL: url}})
	for slot := range r.Procs {
		ops := r.Ops / r.Procs
		if slot < r.Ops%r.Procs {
			ops++
		}
		url, proxy := r.address(slot)
		r.launch(&exactProcess{role: exactCounting, slot: slot, proxy: proxy, exactSpec: exactSpec{URL: url, Callers: r.Callers, Ops: ops,
			// Where each caller waits, an answer that was lost is one that came.
			Impatient: r.Mode == exactKills || r.Mode == exactCuts && slot%2 == 1}})
	}
	changer = r.untilCounted(ctx, changer)
	took := time.Since(r.began)
	for wait := time.Now(); r.watched.seen() < 2 && time.Since(wait) < 30*time.Second; {
		time.Sleep(10 * time.Millisecond) // on a slow machine, a replacement takes longer than all the rest
	}
	changer.stdin.Close()
	select {
	case <-changer.done:
	case <-time.After(30 * time.Second):
		r.Fatal("the process that changes definitions does not end")
	}
	if err := r.failure(changer); err != nil {
		r.Error(err)
	}
	stop()
	r.readers.Wait()
	for _, p := range r.proxies {
		p.Close()
	}
	r.check(took)
}

// address is where the process of a slot finds Redis: directly, or through a
// proxy of its own. Every other proxy breaks everything, the rest only scripts.
func (r *exactRun) address(slot int) (string, *redistest.Proxy) {
	switch {
	case r.Mode == exactCuts:
		p := redistest.StartProxy(r.T, r.srv.Socket())
		r.proxies = append(r.proxies, p)
		f := redistest.Faults{Seed: r.rand.Uint64(), CutBefore: 0.01, CutAfter: 0.02, CutMid: 0.01, DelayProb: 0.002, MaxDelay: 3 * exactTimeout / 2}
		if slot >= 0 && slot%2 == 0 {
			f.Only = []string{"EVALSHA", "EVAL"}
		}
		p.SetFaults(f)
		return p.URL(), p
	case slot%2 == 0:
		return r.srv.URL(), nil
	}
	return r.srv.SocketURL(), nil
}

// untilCounted waits until all increments are done, and kills, pauses and
// replaces meanwhile. It returns the process that changes definitions by now.
func (r *exactRun) untilCounted(ctx context.Context, changer *exactProcess) *exactProcess {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.Fatalf("the run takes longer than %v", exactLimit)
		}
		written := int64(0)
		for _, p := range r.procs { // who is launched meanwhile comes with the next tick
			if p.role != exactCounting {
				continue
			}
			if fi, err := os.Stat(p.Log); err == nil {
				written += fi.Size()
				if p.dieAt > 0 && fi.Size() >= p.dieAt && !p.over {
					p.cmd.Process.Kill()
				}
			}
			if !p.over && p.ended() {
				p.over = true
				r.replace(p)
			}
		}
		if !slices.ContainsFunc(r.procs, func(p *exactProcess) bool { return p.role == exactCounting && !p.over }) {
			return changer
		}
		if fi, err := os.Stat(changer.Log); err == nil && changer.dieAt > 0 && fi.Size() >= changer.dieAt {
			changer.cmd.Process.Kill()
			<-changer.done
			changer = r.launch(&exactProcess{role: exactChanging, slot: -1, exactSpec: exactSpec{URL: changer.URL, Life: changer.Life + 1}})
		}
		// While Redis stands still, what was sent before and what is sent again
		// gather at its door; when it goes on, both arrive.
		if most := max(1, min(3, r.Ops/50_000)); r.Mode == exactCuts && r.pauses < most && written > int64(r.Ops)*exactBytes*int64(r.pauses+1)/int64(most+1) {
			r.pauses++
			r.srv.Pause()
			time.Sleep(3 * exactTimeout / 2)
			r.srv.Resume()
		}
	}
}
