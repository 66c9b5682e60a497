package queue_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// What Info answers while the store is away is the caller's: layers above add to it,
// for several who ask at once.
func TestInfoIsTheCallers(t *testing.T) {
	r := newRig(t)
	q := r.queue(r.srv.SocketURL(), t.TempDir(), nil)
	r.srv.Kill()
	r.must(q, useOp("a", 1), poolkeeper.Queued)
	r.eventually("it is found to be away", func() bool { return q.Mode() == poolkeeper.ModeDegraded })
	for range 20 {
		one, err := q.Info(t.Context())
		if err != nil || one.Details == nil {
			t.Fatalf("%+v, %v", one, err)
		}
		one.Details["mine"] = "yes"
		if other, _ := q.Info(t.Context()); other.Details["mine"] != "" {
			t.Fatal("two who ask have one map")
		}
	}
}

// A store that has just stopped to answer is no reason not to be served: reads go on,
// and what can wait is queued. So says Info, before the caller's patience ends.
func TestInfoOfASilentStore(t *testing.T) {
	r := newRig(t)
	q := r.queue(r.srv.SocketURL(), t.TempDir(), nil)
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	r.srv.Pause()
	defer r.srv.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // as readyz has
	defer cancel()
	info, err := q.Info(ctx)
	// What is wrong names what has not answered, whoever finds it out first.
	named := func(problem string) bool {
		return strings.Contains(problem, "Redis at "+r.srv.Socket()+" did not answer within ") && !strings.Contains(problem, "deadline")
	}
	if err != nil || !info.Serving || info.Ready || !named(info.Problem) {
		t.Errorf("serving %v, ready %v, problem %q, %v", info.Serving, info.Ready, info.Problem, err)
	}
	r.eventually("it is found to be away", func() bool { return q.Mode() == poolkeeper.ModeDegraded })
	if info, err := q.Info(ctx); err != nil || !named(info.Problem) || !strings.Contains(q.Err().Error(), r.srv.Socket()) { // which no connection may reach by now
		t.Errorf("away: problem %q, %v; %v", info.Problem, q.Err(), err)
	}
}
