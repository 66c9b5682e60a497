package redisstore_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

func replicated(o *redisstore.Options) {
	o.Durability, o.CommandTimeout, o.RetryFor = redisstore.Replicated, 500*time.Millisecond, 1800*time.Millisecond
}

// With durability=replicated what is applied is on a replica. What no replica has is
// not acknowledged, however often it is sent, counts once all the same, and nothing
// of its key goes before it.
func TestReplicated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	replica := &rig{T: t, srv: redistest.Start(t, redistest.WithReplicaOf(r.srv))}
	b := r.open(r.srv.SocketURL(), replicated)
	for range 20 {
		res := r.must(b, useOp("b", 1))
		r.srv.Pause() // so that nothing gets there after the answer
		if got := replica.usageOf("b"); got != "" && res.Status != poolkeeper.Applied || got == "" {
			t.Errorf("the replica has %q after %d", got, res.Count)
		}
		r.srv.Resume()
	}
	replica.srv.Pause()
	r.refused(b, useOp("b", 10), poolkeeper.ErrIndeterminate)
	r.refused(b, useOp("b", 100), poolkeeper.ErrUnavailable) // it waits for the one before
	if got := r.usageOf("b"); got != "30" {
		t.Errorf("the primary has %s, want 30", got)
	}
	// A key that nothing is under way of.
	r.refused(b, patchOp(poolkeeper.ConfigKey, `{"b":1}`), poolkeeper.ErrIndeterminate)
	replica.srv.Resume()
	eventually(t, "increments are acknowledged again", func() bool { return r.try(b, useOp("b", 1000)).Err == nil })
	got := r.usageOf("b")
	if len(got) < 4 || got[len(got)-2:] != "30" {
		t.Errorf("the primary has %s: the 10 were not counted once", got)
	}
	eventually(t, "the replica has it too", func() bool { return replica.usageOf("b") == got })

	// Without a replica nothing is acknowledged.
	replica.srv.Kill()
	r.refused(b, useOp("c", 1), poolkeeper.ErrIndeterminate)
}

// With a Spool it is queued until a replica has it, and counts once.
func TestReplicatedWithASpool(t *testing.T) {
	t.Parallel()
	r, s := newRig(t), newSpool(t)
	replica := &rig{T: t, srv: redistest.Start(t, redistest.WithReplicaOf(r.srv))}
	b := r.open(r.srv.SocketURL(), replicated, s.option)
	if res := r.must(b, useOp("b", 1)); res.Status != poolkeeper.Applied {
		t.Errorf("the status is %s", res.Status)
	}
	replica.srv.Pause()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if res := r.try(b, useOp("b", 10)); res.Status != poolkeeper.Queued && !errors.Is(res.Err, poolkeeper.ErrUnavailable) {
				t.Errorf("while no replica answers: %+v", res)
			}
		})
	}
	wg.Wait()
	time.Sleep(2 * time.Second) // it is sent again and again
	if _, frozen := s.left(); len(frozen) != 1 {
		t.Errorf("%d requests are on their way, want 1", len(frozen))
	}
	had := r.usageOf("b")
	replica.srv.Resume()
	s.empty(t)
	if got := r.usageOf("b"); got != had || got == "1" {
		t.Errorf("the primary has %s, and had %s", got, had)
	}
	eventually(t, "the replica has it too", func() bool { return replica.usageOf("b") == had })
}

// Whoever may not wait for replicas hears it when the store is opened.
func TestReplicatedNeedsWait(t *testing.T) {
	srv := redistest.Start(t, redistest.WithACL("u on >pw ~* &* +@all -wait"))
	rigOn(t, srv)
	o := &redisstore.Options{Prefix: rigPrefix, Durability: redisstore.Replicated}
	if _, err := redisstore.Open(t.Context(), withUser(t, srv.SocketURL(), "u", "pw"), o); !errors.Is(err, poolkeeper.ErrForbidden) {
		t.Errorf("error %v, want ErrForbidden", err)
	}
	o.Durability = "twice"
	if _, err := redisstore.Open(t.Context(), srv.SocketURL(), o); !errors.Is(err, poolkeeper.ErrInvalid) {
		t.Errorf("error %v, want ErrInvalid", err)
	}
}

// On a Cluster the batch and the waiting are on the node of the key.
func TestReplicatedOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	r := &rig{T: t, srv: c.Nodes[0]}
	plain := r.open(c.URL())
	if err := plain.Restore(t.Context(), rigSnapshot()); err != nil {
		t.Fatal(err)
	}
	r.must(plain, useOp("b", 1)) // the very first count of a provider may take two requests
	b := r.open(c.URL(), replicated)
	r.refused(b, useOp("b", 10), poolkeeper.ErrIndeterminate) // it has no replicas
	eventually(t, "the primary has executed it", func() bool {
		got, _ := c.Do(rigPool, "HGET", "t:state:{"+rigPool+"}", "b:usageCount")
		return got == "11"
	})
}
