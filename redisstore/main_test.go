package redisstore_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roleVariable makes a copy of the test binary play a part instead of running
// tests.
const roleVariable = "POOLKEEPER_TEST_ROLE"

// childRoles :: name → what a child of that role does; its result is the exit
// code. A file that needs a role says: var _ = childRole("name", f).
var childRoles = map[string]func() int{}

func childRole(name string, run func() int) string {
	if childRoles[name] != nil {
		panic("two child roles have the name " + name)
	}
	childRoles[name] = run
	return name
}

func TestMain(m *testing.M) {
	if name := os.Getenv(roleVariable); name != "" {
		run := childRoles[name]
		if run == nil {
			fmt.Fprintf(os.Stderr, "there is no child role %q\n", name)
			os.Exit(2)
		}
		os.Exit(run())
	}
	// The seed in a failure's text is enough; a file would be left in the tree.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		panic(err)
	}
	// The Cluster client of rueidis leaves goroutines behind that sleep up to
	// five seconds after its Close; they end by themselves.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient).redirectOrNew.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}
