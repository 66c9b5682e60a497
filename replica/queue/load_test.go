package queue_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
	"github.com/poolkeeper/poolkeeper/replica/queue"
)

// A slow source takes its time to replay, as on a machine with much else to do.
type slow struct {
	queue.Source
	takes time.Duration
}

func (s slow) Replay(ctx context.Context, ops []poolkeeper.QueuedOp) []poolkeeper.Result {
	time.Sleep(s.takes)
	return s.Source.Replay(ctx, ops)
}

// The replay ends under load, also where being replayed takes longer than being
// queued: callers that come back at once do not add to it for ever.
func TestReplayEndsUnderLoad(t *testing.T) {
	r := newRig(t)
	log, err := backlog.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.New(t.Context(), func(ctx context.Context) (queue.Source, error) {
		s, err := redisstore.Open(ctx, r.srv.SocketURL(), options(log))
		if err != nil {
			return nil, err
		}
		return slow{s, 150 * time.Millisecond}, nil
	}, log, &queue.Options{Probe: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	r.srv.Stop()
	r.must(q, useOp("a", 1), poolkeeper.Buffered)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if res := q.Apply(ctx, useOp("a", 1))[0]; res.Status == poolkeeper.Applied {
					stop()
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	r.srv.Restart()
	wg.Wait()
	if context.Cause(ctx) != context.Canceled {
		t.Errorf("nothing was applied for 20 s after the store was back; there is %+v", log.State())
	}
}

// An outage that is noticed by who asks for Info, before any op meets it, ends by
// itself as any other.
func TestOutageNoticedByInfo(t *testing.T) {
	r := newRig(t)
	q := r.queue(r.srv.SocketURL(), "", nil)
	r.must(q, useOp("a", 1), poolkeeper.Applied)
	r.srv.Stop()
	r.eventually("Info tells of the outage", func() bool {
		info, err := q.Info(t.Context())
		return err == nil && info.Mode == poolkeeper.ModeDegraded
	})
	r.srv.Restart()
	r.eventually("the store is there again", func() bool { return q.Mode() == poolkeeper.ModeOnline })
	r.must(q, useOp("a", 1), poolkeeper.Applied)
}
