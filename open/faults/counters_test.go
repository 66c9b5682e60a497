package faults_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// An underFaults is a server and the instances that count on it while faults strike.
type underFaults struct {
	*testing.T
	srv *redistest.Server
	ins []*instance

	mu    sync.Mutex
	table map[string]*struck
}

// struck is what came of one kind of fault.
type struck struct {
	times, felt, queued int
}

// The first instance is never killed. The second one is, and asks again what it got no
// answer to. What the third one is not told nobody knows; it leaves the first
// providers alone.
const (
	instances = 3
	exactOnes = 30
)

func newUnderFaults(t *testing.T, seed uint64, callers int) *underFaults {
	u := &underFaults{T: t, srv: redistest.Start(t, redistest.WithAOF("always")), table: map[string]*struck{}}
	fill(t, u.srv.SocketURL())
	for i := range instances {
		s := spec{Callers: callers, Seed: seed<<8 + uint64(i)<<32, Keyed: i == 1}
		if i == 2 {
			s.Impatient, s.First = true, exactOnes
		}
		in := newInstance(t, i, u.srv.Socket(), s)
		in.proxy.SetFaults(background(seed + uint64(i)))
		u.ins = append(u.ins, in)
		in.start()
	}
	for _, in := range u.ins {
		in.opened()
	}
	return u
}

// TestFaultsCounters: three instances count while faults of every kind strike. The
// sums, read plainly, are what callers were told, to the last one.
func TestFaultsCounters(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64) {
		lasts := *faultsTime
		if bounded() {
			lasts = 8 * time.Second
		}
		u := newUnderFaults(t, seed, 100)
		u.strike(seed, lasts)
		u.finish()
	})
}

// strike has each kind of fault strike alone, in a random order and until it is felt,
// and then two at a time at random.
func (u *underFaults) strike(seed uint64, lasts time.Duration) {
	began := time.Now()
	r := rand.New(rand.NewPCG(seed, 1))
	for _, i := range r.Perm(len(strikes)) {
		for try := 1; ; try++ {
			u.calm()
			if u.hit(&strikes[i], r) {
				break
			}
			if try == 10 {
				u.Errorf("in ten times never felt: %s", strikes[i].kind)
				break
			}
		}
	}
	var wg sync.WaitGroup
	for _, server := range []bool{true, false} {
		own := rand.New(rand.NewPCG(seed, 2+uint64(len(fmt.Sprint(server)))))
		wg.Go(func() {
			for time.Since(began) < lasts && !u.Failed() {
				if s := &strikes[own.IntN(len(strikes))]; s.server == server {
					u.hit(s, own)
					u.pause(own, 500*time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
}

// hit lets a fault strike once.
func (u *underFaults) hit(s *strike, r *rand.Rand) bool {
	before := u.queued()
	in := u.ins[r.IntN(len(u.ins))]
	if s.kills {
		in = u.ins[1+r.IntN(len(u.ins)-1)]
	}
	felt := s.run(u, r, in)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.table[s.kind] == nil {
		u.table[s.kind] = &struck{}
	}
	k := u.table[s.kind]
	k.times++
	k.queued += u.queued() - before
	if felt {
		k.felt++
	}
	return felt
}

func (u *underFaults) queued() (n int) {
	for _, in := range u.ins {
		_, queued := in.read().counts()
		n += queued
	}
	return n
}

// calm waits until each instance is online and applies what it is asked.
func (u *underFaults) calm() {
	u.Helper()
	for _, in := range u.ins {
		before, _ := in.read().counts()
		until(u.T, "an instance is back", func() bool {
			in.alive()
			applied, _ := in.read().counts()
			return in.rec.lastMode() == "online" && applied > before
		})
	}
}

// finish mends everything, lets all queues drain, and compares.
func (u *underFaults) finish() {
	u.Helper()
	for _, in := range u.ins {
		in.proxy.Clear()
	}
	began := time.Now()
	var wg sync.WaitGroup
	for _, in := range u.ins {
		wg.Go(in.end)
	}
	wg.Wait()
	u.Logf("all queues were empty %v after all was mended", time.Since(began).Round(time.Millisecond))
	u.check()
	u.report()
	u.steady()
}

// waiting is how many bytes an op that waits may take in memory, with what the
// collector has not freed yet.
const waiting = 4 << 10

// steady checks that the instance that is never killed needs no more in the end than
// it did in the beginning, and that no journal has kept what is settled.
func (u *underFaults) steady() {
	u.Helper()
	all := u.ins[0].rec.samples
	if len(all) < 4 {
		u.Fatalf("there are %d samples", len(all))
	}
	most := func(of []sample) (m sample) {
		for _, s := range of {
			m.goroutines, m.journal = max(m.goroutines, s.goroutines), max(m.journal, s.journal)
			m.heap = max(m.heap, s.heap-waiting*s.ops)
		}
		return m
	}
	first, last := most(all[:len(all)/2]), most(all[len(all)/2:])
	u.Logf("at most, in the first half and in the last: %d and %d goroutines, %d and %d KiB of memory without what waits, %d and %d KiB of that",
		first.goroutines, last.goroutines, first.heap>>10, last.heap>>10, first.journal>>10, last.journal>>10)
	if last.goroutines > first.goroutines+100 || last.heap > 2*first.heap+32<<20 {
		u.Errorf("it grows: %+v", all)
	}
	for i, in := range u.ins {
		size := int64(0)
		err := filepath.WalkDir(filepath.Join(in.spec.Dir, "state", "journal"), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				info, err := d.Info()
				if err != nil {
					return err
				}
				size += info.Size()
			}
			return err
		})
		if err != nil || size > mostJournal {
			u.Errorf("the files of the journal of instance %d have %d bytes, with nothing that waits (%v)", i, size, err)
		}
	}
}

// mostJournal is what the files of a journal may take in which nothing waits: some
// that is of no use any more, and a segment ahead.
const mostJournal = 128 << 20

// check compares what is stored with what callers were told.
func (u *underFaults) check() {
	u.Helper()
	var sure, maybe [providerCount]int64
	for i, in := range u.ins {
		if err := in.rec.close(); err != nil {
			u.Fatal(err)
		}
		for p := range providerCount {
			sure[p] += in.rec.sure[p]
			maybe[p] += in.rec.maybe[p]
		}
		for _, text := range in.rec.wrong[:min(len(in.rec.wrong), 10)] {
			u.Errorf("instance %d: %s", i, text)
		}
		for _, text := range in.rec.aside[:min(len(in.rec.aside), 10)] {
			u.Errorf("instance %d has set aside: %s", i, text)
		}
		for code, n := range in.rec.refused {
			if code != "unavailable" && code != "canceled" && code != "timeout" {
				u.Errorf("instance %d: %d increments were refused as %s", i, n, code)
			}
		}
		if in.rec.ended != 1 {
			u.Errorf("instance %d has ended in order %d times", i, in.rec.ended)
		}
	}
	exact := 0
	for p := range providerCount {
		key, field := countKey(p)
		text := u.srv.DoString("HGET", key, field)
		stored, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil:
			u.Errorf("provider %d: the stored count is %q", p, text)
		case stored < sure[p]:
			u.Errorf("provider %d: %d are stored, and %d were acknowledged: %d are lost", p, stored, sure[p], sure[p]-stored)
		case stored > sure[p]+maybe[p]:
			u.Errorf("provider %d: %d are stored, and %d were acknowledged, %d were without an answer: %d too many", p, stored, sure[p], maybe[p], stored-sure[p]-maybe[p])
		case maybe[p] == 0:
			exact++
		}
	}
	if exact < exactOnes {
		u.Errorf("only %d providers had an answer to each increment, and it should be %d", exact, exactOnes)
	}
}

// report prints what struck, and what instances told.
func (u *underFaults) report() {
	var b strings.Builder
	fmt.Fprintf(&b, "%-52s %6s %6s %8s\n", "fault", "struck", "felt", "queued")
	for i := range strikes {
		k := u.table[strikes[i].kind]
		if k == nil {
			k = &struck{}
		}
		if k.times == 0 || k.felt == 0 {
			u.Errorf("it never struck, or nobody felt it: %s", strikes[i].kind)
		}
		fmt.Fprintf(&b, "%-52s %6d %6d %8d\n", strikes[i].kind, k.times, k.felt, k.queued)
	}
	for i, in := range u.ins {
		fmt.Fprintf(&b, "instance %d: %d processes; applied %d, queued %d, without an answer %d, refused %v; modes %v; broken by its proxy %v\n",
			i, in.spec.Process, in.rec.applied, in.rec.queued, in.rec.unsure, in.rec.refused, in.rec.modes, in.proxy.Counts())
		if in.rec.applied == 0 || in.rec.queued == 0 {
			u.Errorf("instance %d has applied %d and queued %d", i, in.rec.applied, in.rec.queued)
		}
	}
	u.Log("\n" + b.String())
}
