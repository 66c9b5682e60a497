package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
)

// queueing is a store with a queue, in which two ops are set aside.
func queueing(t *testing.T) (poolkeeper.Backend, *backlog.Backlog) {
	t.Helper()
	b, err := backlog.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "c"} {
		if _, err := b.Append(t.Context(), patch(id, 1)); err != nil {
			t.Fatal(err)
		}
	}
	gone := poolkeeper.Result{Err: poolkeeper.Errorf(poolkeeper.ErrNotFound, "it is gone")}
	if err := b.Resolve([]uint64{1, 2}, []poolkeeper.Result{gone, gone}); err != nil {
		t.Fatal(err)
	}
	return struct {
		poolkeeper.Backend
		poolkeeper.AsideKeeper
	}{memstore.New(nil), b}, b
}

// TestAside decides through the service, which says the same as the queue itself.
func TestAside(t *testing.T) {
	back, log := queueing(t)
	c := dial(t, serve(t, back), nil)
	ctx := t.Context()
	same := func() *poolkeeper.Pending {
		t.Helper()
		got, err := c.Pending(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := log.Pending(ctx)
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("the service says %+v, the queue %+v", got, want)
		}
		return got
	}
	if p := same(); len(p.Aside) != 2 || p.Queue.Ops != 1 {
		t.Errorf("%+v", p)
	}
	if _, err := c.RetryAside(ctx, poolkeeper.Pick{Entries: []uint64{1, 3}}); !errors.Is(err, poolkeeper.ErrNotFound) || !strings.Contains(err.Error(), "number 3") {
		t.Errorf("one that is not set aside: %v", err)
	}
	if _, err := c.RetryAside(ctx, poolkeeper.Pick{}); !errors.Is(err, poolkeeper.ErrInvalid) {
		t.Errorf("nothing: %v", err)
	}
	if done, err := c.RetryAside(ctx, poolkeeper.Pick{Entries: []uint64{1}}); err != nil || done != (poolkeeper.Decided{Changed: 1, Aside: 1}) {
		t.Error(done, err)
	}
	same()
	if done, err := c.DiscardAside(ctx, poolkeeper.Pick{All: true}); err != nil || done != (poolkeeper.Decided{Changed: 1}) {
		t.Error(done, err)
	}
	if p := same(); len(p.Aside) != 0 || p.Queue.Ops != 2 {
		t.Errorf("%+v", p)
	}
	plain := dial(t, serve(t, memstore.New(nil)), nil)
	if _, err := plain.Pending(ctx); !errors.Is(err, poolkeeper.ErrForbidden) || !strings.Contains(err.Error(), "this store queues nothing") {
		t.Errorf("without a queue: %v", err)
	}
}

// TestAsideAndNoAnswer: a decision that may have arrived is not sent again, as it
// might then be about other ops; one that has not, is. A list is asked for again.
func TestAsideAndNoAnswer(t *testing.T) {
	back, log := queueing(t)
	p := startProxy(t, serve(t, back), always(cutAfter, "/api/v1/journal/discard"))
	c := dial(t, p.url, nil)
	if _, err := c.DiscardAside(t.Context(), poolkeeper.Pick{All: true}); !errors.Is(err, poolkeeper.ErrIndeterminate) || !strings.Contains(poolkeeper.HintOf(err), "journal list") {
		t.Errorf("without an answer: %v", err)
	}
	if n := p.count(cutAfter); n != 1 || log.State().Aside != 0 {
		t.Errorf("it was sent %d times, and %d are set aside", n, log.State().Aside)
	}
	cut := 0
	p.set(func(string) string {
		if cut++; cut == 1 {
			return cutMid
		}
		return ""
	})
	if got, err := c.Pending(t.Context()); err != nil || got.Queue.Ops != 1 || cut != 2 {
		t.Errorf("%+v, %v after %d requests", got, err, cut)
	}
}
