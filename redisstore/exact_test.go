package redisstore_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
)

// The exactness suite counts with many processes on a real Redis, breaks
// connections and kills processes meanwhile, and then holds what Redis has
// against what each caller was told. `make test-exact` runs it at full size.
var (
	exactRuns    = flag.Int("exact.runs", 0, "full-size runs of TestExact, each with a seed of its own; 0: one small run")
	exactSeed    = flag.Uint64("exact.seed", 0, "the seed of the first run of TestExact; 0: a random one")
	exactProcs   = flag.Int("exact.procs", 0, "processes that increment; 0: 8, or 4 in the small run")
	exactCallers = flag.Int("exact.callers", 0, "concurrent callers in each of them; 0: 100, or 50 in the small run")
	exactOps     = flag.Int("exact.ops", 0, "increments by all of them together; 0: 200000, or 12000 in the small run")
)

// An exactMode is what goes wrong in a run.
type exactMode string

const (
	exactPlain exactMode = "nothing breaks"
	exactCuts  exactMode = "connections break"
	exactKills exactMode = "processes are killed"
)

func TestExact(t *testing.T) {
	runs, form := 1, exactForm{Procs: 4, Callers: 50, Ops: 12_000}
	if *exactRuns > 0 {
		runs, form = *exactRuns, exactForm{Procs: 8, Callers: 100, Ops: 200_000}
	}
	for _, given := range []struct{ flag, field *int }{{exactProcs, &form.Procs}, {exactCallers, &form.Callers}, {exactOps, &form.Ops}} {
		if *given.flag > 0 {
			*given.field = *given.flag
		}
	}
	seed := *exactSeed
	if seed == 0 {
		seed = rand.Uint64()>>16 + 1
	}
	for n := range runs {
		for _, mode := range []exactMode{exactPlain, exactCuts, exactKills} {
			t.Run(fmt.Sprintf("%s/%d", mode, n+1), func(t *testing.T) {
				form := form
				form.Mode, form.Seed = mode, seed+uint64(n)
				t.Logf("what is tried, though not its timing, repeats with -exact.seed=%d", form.Seed)
				startExactRun(t, form).finish()
			})
		}
	}
}
