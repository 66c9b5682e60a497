package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/open"
)

// specVariable carries a spec to an instance.
const specVariable = "POOLKEEPER_TEST_FAULTS"

// A spec is what a process of an instance is to do: count with so many callers until
// its standard input ends, and then wait until nothing is queued any more.
type spec struct {
	URL, Dir, Log string
	Number        int // of the instance
	Process       int
	Seed          uint64
	Callers       int
	// Impatient: some callers have a deadline. Those of a keyed instance have
	// idempotency keys, by which the next process asks again what the one before it
	// has left without an answer.
	Impatient, Keyed bool
	First            int  // of the providers that it counts
	Once             bool // each caller counts once, on a provider of its own
	// With Groups it does not count: it makes the ops of the long outage from From to
	// To that were not begun yet.
	Groups, From, To int
}

// instanceMain is main of an instance.
func instanceMain() int {
	var s spec
	err := json.Unmarshal([]byte(os.Getenv(specVariable)), &s)
	if err == nil {
		err = s.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (s *spec) run() error {
	before := newRecord(s.Log)
	before.keyed = s.Keyed
	if err := before.read(); err != nil {
		return err
	}
	before.grow(s.To)
	log, err := openTold(s.Log)
	if err != nil {
		return err
	}
	log.line("") // ends a line that was torn
	log.line("b %d", s.Process)
	set, err := resolve(s.URL, s.Dir)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	st, err := open.Store(context.Background(), set, &open.Options{
		Outlast: true,
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Turned: func(from, to poolkeeper.Mode) {
			if from == "" {
				from = "-"
			}
			log.line("m %s %s", from, to)
		},
	})
	if err != nil {
		return err
	}
	info, err := st.Info(context.Background())
	if err != nil || info.Queue == nil {
		return fmt.Errorf("after the opening: %+v, %v", info, err)
	}
	log.line("o %d", info.Queue.Ops)
	var again sync.WaitGroup
	if !s.Keyed {
		clear(before.begun)
	}
	for name, inc := range before.begun {
		again.Go(func() { s.tell(log, name, s.keyed(context.Background(), st, name, inc)) })
	}
	if s.Groups > 0 {
		s.outage(ctx, st, log, before.asked)
	} else {
		s.count(ctx, st, log)
	}
	again.Wait()
	for n := 0; ; n++ {
		info, err := st.Info(context.Background())
		if n%1000 == 999 {
			fmt.Fprintf(os.Stderr, "after %d s there wait %+v in mode %s: %s, %v\n", n/200, info.Queue, info.Mode, info.Problem, err)
		}
		if err == nil && info.Queue.Ops == 0 && info.Queue.Frozen == 0 && info.Mode == poolkeeper.ModeOnline {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	pending, err := st.Pending(context.Background())
	if err != nil {
		return err
	}
	for _, a := range pending.Aside {
		log.line("w %s %s %s", a.Kind, a.Reason, a.Of)
		fmt.Fprintln(os.Stderr, "set aside:", a.Kind, a.Of, a.Text)
	}
	if err := st.Close(); err != nil {
		log.line("x close: %v", err)
	}
	log.line("e")
	return nil
}

// enough is how many ops wait before callers do: they acknowledge faster than any
// server takes what it has missed, and would fill the memory of a slow machine.
const enough = 20_000

// count has all callers count, one reader read, and takes samples.
func (s *spec) count(ctx context.Context, st *poolkeeper.Store, log told) {
	var wg sync.WaitGroup
	var next atomic.Int64
	var full atomic.Bool
	wg.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			p, err := st.Pending(ctx)
			full.Store(err == nil && p.Queue.Ops > enough)
		}
	})
	for i := range s.Callers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(s.Seed, uint64(i)))
			for ctx.Err() == nil {
				if full.Load() {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				provider := s.First + r.IntN(providerCount-s.First)
				if s.Once {
					provider = i
				}
				s.increment(st, log, r, fmt.Sprintf("%d.%d", s.Process, next.Add(1)), provider)
				if s.Once {
					return
				}
				time.Sleep(time.Duration(r.Int64N(int64(8 * time.Millisecond))))
			}
		})
	}
	wg.Go(func() { s.read(ctx, st, log) })
	wg.Go(func() { takeSamples(ctx, st, log) })
	wg.Wait()
}

// increment makes one increment, of one of the kinds that there are.
func (s *spec) increment(st *poolkeeper.Store, log told, r *rand.Rand, name string, provider int) {
	inc := increment{provider, 1 + r.Int64N(3)}
	ref := refOf(inc.provider)
	ctx := context.Background()
	if s.Impatient && r.IntN(200) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.Int64N(int64(20*time.Millisecond))))
		defer cancel()
	}
	kind := r.IntN(20)
	log.line("i %s %d %d", name, inc.provider, inc.n)
	var res poolkeeper.Result
	var err error
	switch {
	case s.Keyed || kind == 1:
		res = s.keyed(ctx, st, name, inc)
	case kind == 0:
		res, err = st.Success(ctx, ref, inc.n, "")
	default:
		res, err = st.Usage(ctx, ref, inc.n)
	}
	res.Err = errors.Join(res.Err, err)
	s.tell(log, name, res)
	if kind == 2 && !s.Once {
		none := int64(0)
		if _, err := st.Error(context.Background(), ref, poolkeeper.Failure{Message: "HTTP 500", Threshold: &none}); err != nil && !errors.Is(err, poolkeeper.ErrIndeterminate) {
			log.line("x an error was refused: %v", err)
		}
	}
}

// keyed makes an increment that counts once however often it is asked for.
func (s *spec) keyed(ctx context.Context, st *poolkeeper.Store, name string, inc increment) poolkeeper.Result {
	ref := refOf(inc.provider)
	return st.Apply(ctx, poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(ref.Type), ID: ref.ID, N: inc.n,
		IdempotencyKey: fmt.Sprintf("%d-%s", s.Number, name)})[0]
}

// tell logs the answer to an increment.
func (s *spec) tell(log told, name string, res poolkeeper.Result) {
	switch {
	case errors.Is(res.Err, poolkeeper.ErrIndeterminate):
		log.line("u %s", name)
	case res.Err != nil:
		log.line("r %s %s", name, poolkeeper.ClassOf(res.Err).Code)
	case res.Status == poolkeeper.Applied:
		log.line("a %s", name)
	case res.Status == poolkeeper.Queued:
		log.line("q %s", name)
	default:
		log.line("x %s was acknowledged as %q", name, res.Status)
	}
}

// read holds what is read against what is promised: once there is a copy there always
// is something to read, all of it, and nothing is followed by something older.
func (s *spec) read(ctx context.Context, st *poolkeeper.Store, log told) {
	copied := st.Backend().(poolkeeper.Viewer)
	var seen [providerCount]int64
	for ; ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
		had := copied.View() != nil
		view, err := st.View(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && had:
			log.line("x a read failed: %v", err)
			continue
		case err != nil:
			continue
		}
		for i := range providerCount {
			p := view.Provider(refOf(i))
			if p == nil {
				log.line("x provider %d is not in the view", i)
				continue
			}
			n := p.Count(poolkeeper.UsageCount)
			if n < seen[i] && !s.Keyed { // what is asked again shows until the store has said that it has it
				log.line("x provider %d was read with %d, after %d, at %s", i, n, seen[i], time.Now().Format("15:04:05.000"))
			}
			seen[i] = n
		}
	}
}

// takeSamples notes what could leak.
func takeSamples(ctx context.Context, st *poolkeeper.Store, log told) {
	for ctx.Err() == nil {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		var journal, ops int64
		if info, err := st.Info(ctx); err == nil && info.Queue != nil {
			journal, ops = info.Queue.Bytes, int64(info.Queue.Ops)
		}
		log.line("s %d %d %d %d", runtime.NumGoroutine(), m.HeapAlloc, journal, ops)
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
}
