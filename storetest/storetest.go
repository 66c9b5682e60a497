// Package storetest is the suite that every backend passes, and whatever else
// is a [poolkeeper.Backend]: a decorator, a client. What the contract promises
// has a case here, named after the promise.
//
// A backend's test is short:
//
//	func TestConformance(t *testing.T)  { storetest.Run(t, harness) }
//	func TestModel(t *testing.T)        { storetest.Model(t, harness) }
//	func TestLinearizable(t *testing.T) { storetest.Linearizable(t, harness) }
//
// What a backend cannot do is declared in its [Harness], so that a case that
// does not apply is a fact and not a skip.
package storetest

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A Harness opens the backend under test and says what it can do.
type Harness struct {
	// Open returns a backend with storage of its own, empty and uninitialised.
	// The suite closes it; what lies below it goes with t.
	Open func(t testing.TB, now func() time.Time) poolkeeper.Backend
	// Reopen returns another handle on the data of b, which is closed already
	// unless the backend is Shared. Nil where data do not outlive a handle.
	Reopen func(t testing.TB, b poolkeeper.Backend) poolkeeper.Backend
	// Shared says that several handles may be open on the same data at once.
	// It needs Reopen.
	Shared bool
	// OwnClock says that sessions expire by the now that Open was given. A
	// backend that does not have it goes by the real time.
	OwnClock bool
}

// A testCase is one promise, and what shows whether it is kept.
type testCase struct {
	name string
	run  func(t *testing.T, h Harness)
}

// groups are all cases, by what they are about.
var groups = []struct {
	name  string
	cases []testCase
}{
	{"lifecycle", lifecycleCases},
	{"load", loadCases},
	{"runtime", runtimeCases},
	{"counters", counterCases},
	{"idempotency", onceCases},
	{"fidelity", fidelityCases},
	{"names", nameCases},
	{"providers", providerCases},
	{"put", putCases},
	{"rename", renameCases},
	{"pools", poolCases},
	{"values", valueCases},
	{"sessions", sessionCases},
	{"conditions", conditionCases},
	{"refusals", refusalCases},
	{"concurrency", concurrencyCases},
	{"watch", watchCases},
	{"tokens", tokenCases},
	{"password", passwordCases},
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	if h.Shared && h.Reopen == nil {
		t.Fatal("the harness declares Shared without Reopen")
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) { c.run(t, h) })
			}
		})
	}
}
