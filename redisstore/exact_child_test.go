package redisstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// The parts that a copy of the test binary plays: one that counts, one that
// changes definitions and pools meanwhile.
var (
	exactCounting = childRole("exact-counting", func() int { return exactChild(exactCountAll) })
	exactChanging = childRole("exact-changing", func() int { return exactChild(exactChangeAll) })
)

// exactSpecVariable carries an exactSpec to a child.
const exactSpecVariable = "POOLKEEPER_TEST_EXACT"

// An exactSpec is what a child is to do.
type exactSpec struct {
	URL, Log  string
	Seed      uint64
	Callers   int
	Ops       int
	Life      int  // how many processes there were in its place before
	Impatient bool // some callers have a deadline
	Faults    bool // answers get lost: a command times out soon
}

// exactTimeout is how long a command may take where answers get lost. Redis is
// paused for longer.
const exactTimeout = 500 * time.Millisecond

// openExact opens a store, trying again where a fault hits the attempt. An op is
// tried for longer than any fault lasts; where there is none, a slow machine is
// no reason to give up.
func openExact(ctx context.Context, at string, faults bool) (*poolkeeper.Store, error) {
	opts := &redisstore.Options{Prefix: exactPrefix, CommandTimeout: 20 * time.Second, RetryFor: 30 * time.Second}
	if faults {
		opts.CommandTimeout, opts.RetryFor = exactTimeout, 10*time.Second
	}
	for end := time.Now().Add(20 * time.Second); ; {
		b, err := redisstore.Open(ctx, at, opts)
		if err == nil {
			return poolkeeper.New(b, nil), nil
		}
		if !errors.Is(err, poolkeeper.ErrUnavailable) || time.Now().After(end) || ctx.Err() != nil {
			return nil, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// exactCommand is a copy of the test binary in a role. It ends, in order or at
// once as the role has it, when its standard input does.
func exactCommand(role string, spec exactSpec) (*exec.Cmd, io.Closer, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, exactSpecVariable+"="+string(text))
	stdin, err := cmd.StdinPipe()
	return cmd, stdin, err
}

// exactChild is main of a child.
func exactChild(run func(context.Context, exactSpec, *poolkeeper.Store, exactLog)) int {
	var spec exactSpec
	if err := json.Unmarshal([]byte(os.Getenv(exactSpecVariable)), &spec); err != nil {
		fmt.Fprintln(os.Stderr, exactSpecVariable, err)
		return 2
	}
	log, err := newExactLog(spec.Log)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // the parent has ended, or asks this process to
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	s, err := openExact(ctx, spec.URL, spec.Faults)
	if err != nil {
		if ctx.Err() != nil {
			log.line("e")
			return 0
		}
		fmt.Fprintln(os.Stderr, "open:", err)
		return 1
	}
	run(ctx, spec, s, log)
	if err := s.Close(); err != nil {
		log.line("x close: %v", err)
	}
	log.line("e")
	return 0
}

// exactCountAll increments with all its callers until the ops are used up,
// while patches and changes of health go on beside.
func exactCountAll(ctx context.Context, spec exactSpec, s *poolkeeper.Store, log exactLog) {
	beside, stop := context.WithCancel(ctx)
	defer stop()
	var others, callers sync.WaitGroup
	others.Go(func() { exactPatch(beside, spec, s, log) })
	others.Go(func() { exactHealth(beside, spec, s, log) })
	var next atomic.Int64
	for i := range spec.Callers {
		callers.Go(func() {
			r := rand.New(rand.NewPCG(spec.Seed, uint64(i)))
			for ctx.Err() == nil {
				op := next.Add(1)
				if op > int64(spec.Ops) {
					return
				}
				exactIncrement(spec, s, log, r, op)
			}
		})
	}
	callers.Wait()
	stop()
	others.Wait()
}

// exactIncrement makes one increment, between two lines of the log.
func exactIncrement(spec exactSpec, s *poolkeeper.Store, log exactLog, r *rand.Rand, op int64) {
	c := exactCounters[r.IntN(len(exactCounters))]
	ref, n, mark := c.ref(c.ids[r.IntN(len(c.ids))]), 1+r.Int64N(3), ""
	success := r.IntN(20) == 0
	ctx := context.Background()
	if spec.Impatient && r.IntN(50) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.Int64N(int64(80*time.Millisecond))))
		defer cancel()
		mark = " d"
	}
	log.line("i %d %s %d%s", op, c.name, n, mark)
	var res poolkeeper.Result
	var err error
	if success {
		res, err = s.Success(ctx, ref, n, "")
	} else {
		res, err = s.Usage(ctx, ref, n)
	}
	switch {
	case err == nil && res.Status != poolkeeper.Applied:
		log.line("x op %d was acknowledged as %q", op, res.Status)
	case err == nil:
		log.line("a %d %d", op, res.Count)
	case errors.Is(err, poolkeeper.ErrIndeterminate):
		log.line("u %d", op)
	default:
		log.line("r %d %s", op, poolkeeper.ClassOf(err).Code)
	}
}

// exactPause waits for about d; false where the context ended.
func exactPause(ctx context.Context, r *rand.Rand, d time.Duration) bool {
	t := time.NewTimer(d/2 + time.Duration(r.Int64N(int64(d))))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// exactPatch patches the field note of providers that are counted.
func exactPatch(ctx context.Context, spec exactSpec, s *poolkeeper.Store, log exactLog) {
	r := rand.New(rand.NewPCG(spec.Seed, 1<<32))
	for n := 0; exactPause(ctx, r, 5*time.Millisecond); n++ {
		c := exactCounters[r.IntN(len(exactCounters))]
		if !c.patched {
			continue
		}
		_, err := s.PatchProvider(context.Background(), c.ref(c.ids[r.IntN(len(c.ids))]), poolkeeper.MergePatch, fmt.Appendf(nil, `{"note":%d}`, n), poolkeeper.Always)
		log.note("patch", err)
	}
}

// exactHealth changes the health of providers that are counted.
func exactHealth(ctx context.Context, spec exactSpec, s *poolkeeper.Store, log exactLog) {
	r := rand.New(rand.NewPCG(spec.Seed, 2<<32))
	threshold := int64(3)
	for exactPause(ctx, r, 3*time.Millisecond) {
		c := exactCounters[r.IntN(len(exactCounters))]
		ref := c.ref(c.ids[r.IntN(len(c.ids))])
		var err error
		switch r.IntN(4) {
		case 0, 1:
			_, err = s.Error(context.Background(), ref, poolkeeper.Failure{Message: "HTTP 500,;\n%", Threshold: &threshold})
		case 2:
			_, err = s.Success(context.Background(), ref, 0, "m")
		case 3:
			_, err = s.Reset(context.Background(), ref, false)
		}
		log.note("health", err)
	}
}
