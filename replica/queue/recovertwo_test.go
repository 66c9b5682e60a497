package queue_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
	"github.com/poolkeeper/poolkeeper/replica/queue"
)

// A contested store says whenever it is asked whether somebody restores it.
type contested struct {
	*redisstore.Store
	asked func()
}

func (c contested) Restoring(ctx context.Context) (bool, error) {
	c.asked()
	return c.Store.Restoring(ctx)
}

func (c contested) Missing(ctx context.Context, in poolkeeper.Backend) (map[poolkeeper.Key][]poolkeeper.Op, error) {
	return c.Store.Missing(ctx, in.(contested).Store)
}

// Of several instances that are to put a store back at the same time, one does. Each of
// the others waits for that, and goes on with it, or puts it back where the first one has
// died. Nothing is there twice.
func TestRecoverAtTheSameTime(t *testing.T) {
	const lock, meta = "t:lock:{t:meta}", "t:meta"
	for name, c := range map[string]struct {
		begins bool  // another one has begun
		ends   int64 // when it is asked for so many times whether that is so; 0: it has died
		before bool  // another one has put it back, and this one knows that
		other  bool
	}{
		"under way":      {begins: true, ends: 3, other: true},
		"ended just now": {begins: true, ends: 1, other: true},
		"died":           {begins: true},
		"a moment ago":   {before: true, other: true},
		"nobody else":    {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			var asked, later atomic.Int64
			var known *poolkeeper.Snapshot
			ends := func() { // what the other one was to do is done
				r.srv.DoString("DEL", lock)
				if err := r.store(nil).Restore(context.WithoutCancel(t.Context()), known); err != nil {
					t.Error(err)
				}
			}
			log, err := backlog.Open(t.TempDir(), nil)
			if err != nil {
				t.Fatal(err)
			}
			q, err := queue.New(t.Context(), func(ctx context.Context) (queue.Source, error) {
				s, err := redisstore.Open(ctx, r.srv.SocketURL(), options(log))
				if err != nil {
					return nil, err
				}
				return contested{s, func() {
					if n := asked.Add(1); n == c.ends {
						ends()
					}
				}}, nil
			}, log, &queue.Options{Probe: 20 * time.Millisecond, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			r.must(q, useOp("a", 1), poolkeeper.Applied)
			if known, err = r.plain.Load(t.Context()); err != nil { // all that the other one has heard
				t.Fatal(err)
			}
			r.must(q, useOp("a", 10), poolkeeper.Applied)
			mine, err := r.plain.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			known.Meta[poolkeeper.MetaRecovered] = known.Meta["epoch"]
			r.srv.FlushAll()
			r.must(q, useOp("a", 100), poolkeeper.Queued)
			r.eventually("it is lost", func() bool { return q.Mode() == poolkeeper.ModeLost })
			if c.begins {
				r.srv.DoString("HSET", meta, "importing", "another")
				r.srv.DoString("SET", lock, "another", "PX", "500")
				if c.ends > 0 {
					r.srv.DoString("PERSIST", lock)
				}
			}
			if c.before {
				ends()
				r.eventually("it is online", func() bool { return q.Mode() == poolkeeper.ModeOnline })
			}
			if other, err := q.Recover(t.Context(), mine); err != nil || other != c.other {
				t.Fatalf("by another one: %v, %v; want %v", other, err, c.other)
			}
			if asked.Load() < c.ends {
				t.Errorf("it was asked %d times whether another one restores it", asked.Load())
			}
			r.empty(q)
			if got := r.state("a", "usageCount"); got != "111" {
				t.Errorf("the count is %s, want 111", got)
			}
			r.eventually("it is online", func() bool { return q.Mode() == poolkeeper.ModeOnline })
			if c.other { // after a while that is no news any more
				if other, err := q.Recover(t.Context(), mine); err != nil || !other {
					t.Errorf("once more: by another one: %v, %v", other, err)
				}
				later.Store(int64(time.Hour))
			}
			if _, err := q.Recover(t.Context(), mine); !errors.Is(err, poolkeeper.ErrConflict) {
				t.Errorf("with nothing lost: %v", err)
			}
			if err := q.Adopt(t.Context()); !errors.Is(err, poolkeeper.ErrConflict) {
				t.Errorf("with nothing to adopt: %v", err)
			}
		})
	}
}
