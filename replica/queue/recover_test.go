package queue_test

import (
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
