// Package faults_test is the fault suite: instances as the service opens them, in
// processes of their own, on real redis-servers, while all kinds of faults strike.
// What callers were told is in logs; what is stored is read plainly, by nothing that
// is tested. `make test-faults` runs it at full size, `make test` a bounded form.
// docs/faults.md has the table of what is struck and what is promised.
package faults_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	faultsTime  = flag.Duration("faults.time", 0, "how long counters are under faults; 0: the bounded form of all tests")
	faultsSeeds = flag.Int("faults.seeds", 1, "runs of what is random, each with a seed of its own")
	faultsSeed  = flag.Uint64("faults.seed", 0, "the seed of the first one; 0: a random one")
	faultsHole  = flag.Duration("faults.hole", 2*time.Second, "how long nothing is answered, in the test of that")
)

// bounded reports whether the suite runs in its short form.
func bounded() bool { return *faultsTime == 0 }

// roleVariable makes a copy of the test binary an instance instead of running tests.
const roleVariable = "POOLKEEPER_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		os.Exit(instanceMain())
	}
	// The client closes a connection to a node that is no longer one after five seconds.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient).redirectOrNew.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// seeds runs a test once with each seed.
func seeds(t *testing.T, run func(t *testing.T, seed uint64)) {
	seed := *faultsSeed
	if seed == 0 {
		seed = rand.Uint64()>>16 + 1
	}
	for n := range *faultsSeeds {
		if *faultsSeeds == 1 {
			t.Logf("what strikes, though not when to the microsecond, repeats with -faults.seed=%d", seed)
			run(t, seed)
			return
		}
		t.Run("", func(t *testing.T) {
			t.Logf("what strikes, though not when to the microsecond, repeats with -faults.seed=%d", seed+uint64(n))
			run(t, seed+uint64(n))
		})
	}
}
