package queue_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// What an instance was told is applied, and is not in what another one has put back as
// it had not heard of it, is queued again: once, in front of what was queued since.
func TestMissingIsQueuedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	q := r.queue(r.srv.SocketURL(), t.TempDir(), nil)
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	r.must(q, putOp("kept.json", `{"n":1}`), poolkeeper.Applied)
	known, err := r.plain.Load(t.Context()) // all that the other one has heard
	if err != nil {
		t.Fatal(err)
	}
	r.must(q, useOp("a", 10), poolkeeper.Applied)
	r.must(q, useOp("b", 3), poolkeeper.Applied)
	r.must(q, patchOp("c", `{"x":1}`), poolkeeper.Applied)
	r.must(q, putOp("kept.json", `{"n":2}`), poolkeeper.Applied)
	r.must(q, putOp("new.json", `{"n":1}`), poolkeeper.Applied)

	r.srv.FlushAll()
	r.must(q, useOp("a", 100), poolkeeper.Queued)
	r.must(q, putOp("kept.json", `{"n":3}`), poolkeeper.Queued)
	known.Meta[poolkeeper.MetaRecovered] = known.Meta["epoch"]
	if err := r.store(nil).Restore(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	r.empty(q)
	r.eventually("it is online", func() bool { return q.Mode() == poolkeeper.ModeOnline })
	for got, want := range map[string]string{
		r.state("a", "usageCount"): "111", r.state("b", "usageCount"): "3",
		r.srv.DoString("GET", "t:doc:kept.json"): `{"n":3}`, r.srv.DoString("GET", "t:doc:new.json"): `{"n":1}`,
		r.srv.DoString("HGET", "t:pools:kiro", "c"): `{"uuid":"c","x":1}`,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if aside := q.Backlog().Aside(); len(aside) > 0 {
		t.Errorf("set aside are %+v", aside)
	}
}

// A store of another content is not read in the place of the one that was lost, also
// where this instance has never seen that one; nor is what it had acknowledged brought
// to it where a person decides to go on with it: what that content has of it cannot be
// told.
func TestAnotherContentIsNotBelieved(t *testing.T) {
	for _, restarted := range []bool{true, false} {
		t.Run(fmt.Sprintf("restarted=%v", restarted), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			dir := t.TempDir()
			q := r.queue(r.srv.SocketURL(), dir, nil)
			r.must(q, useOp("a", 10), poolkeeper.Applied)
			if restarted {
				r.srv.Kill()
				r.must(q, useOp("b", 1), poolkeeper.Queued) // which may have been executed
				r.must(q, useOp("a", 100), poolkeeper.Queued)
				q.Close()
				r.srv.Restart()
			}
			other, err := r.plain.Load(t.Context()) // with what was acknowledged
			if err != nil {
				t.Fatal(err)
			}
			r.srv.FlushAll()
			if err := r.store(nil).Restore(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			want := "10"
			if restarted {
				want = "110"
				q = r.queue(r.srv.SocketURL(), dir, nil)
			} else {
				r.must(q, useOp("a", 200), poolkeeper.Queued)
				want = "210"
			}
			r.eventually("it is lost", func() bool { return q.Mode() == poolkeeper.ModeLost })
			if snap, err := q.Load(t.Context(), poolkeeper.PoolsKey); !errors.Is(err, poolkeeper.ErrLost) {
				t.Errorf("it is read: %+v, %v", snap, err)
			}
			if err := q.Watch(t.Context(), func(poolkeeper.Change) {}); !errors.Is(err, poolkeeper.ErrLost) {
				t.Errorf("it is watched: %v", err)
			}
			if err := q.Adopt(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.empty(q)
			if _, err := q.Load(t.Context(), poolkeeper.PoolsKey); err != nil || r.state("a", "usageCount") != want {
				t.Errorf("the count is %s, want %s; %v", r.state("a", "usageCount"), want, err)
			}
		})
	}
}
