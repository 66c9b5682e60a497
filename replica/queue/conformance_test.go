package queue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
	"github.com/poolkeeper/poolkeeper/replica/queue"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// TestConformance holds the layer to all that a backend promises.
func TestConformance(t *testing.T) {
	url := redistest.Start(t).SocketURL()
	var n atomic.Int64
	var prefixes sync.Map
	open := func(t testing.TB, prefix string) poolkeeper.Backend {
		t.Helper()
		log, err := backlog.Open(t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		q, err := queue.New(context.Background(), func(ctx context.Context) (queue.Source, error) {
			return redisstore.Open(ctx, url, &redisstore.Options{Prefix: prefix, Spool: log, CommandTimeout: 10 * time.Second})
		}, log, nil)
		if err != nil {
			t.Fatal(err)
		}
		prefixes.Store(poolkeeper.Backend(q), prefix)
		return q
	}
	h := storetest.Harness{
		Open: func(t testing.TB, _ func() time.Time) poolkeeper.Backend {
			return open(t, fmt.Sprintf("q%d:", n.Add(1)))
		},
		Reopen: func(t testing.TB, b poolkeeper.Backend) poolkeeper.Backend {
			prefix, _ := prefixes.Load(b)
			return open(t, prefix.(string))
		},
		Shared: true,
	}
	storetest.Run(t, h)
}
