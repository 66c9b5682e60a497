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
)

// BenchmarkReplay measures how fast increments that are queued, each of another
// provider than the one before, come to Redis.
func BenchmarkReplay(b *testing.B) {
	for _, pools := range []int{1, 10} {
		b.Run(fmt.Sprintf("pools=%d", pools), func(b *testing.B) { benchReplay(b, pools) })
	}
}

func benchReplay(b *testing.B, pools int) {
	providers := 20_000 / pools // of each pool
	srv, stop, err := redistest.StartMain()
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	ctx := context.Background()
	store, err := redisstore.Open(ctx, srv.SocketURL(), options(nil))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	snap := poolkeeper.NewSnapshot()
	for p := range pools {
		pool := &poolkeeper.Pool{Type: fmt.Sprint("pool", p)}
		for i := range providers {
			id := fmt.Sprintf("ab226ca1-2651-430f-a1f0-%012d", i)
			pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: pool.Type, ID: id},
				Definition: fmt.Appendf(nil, `{"uuid":%q,"note":"%0550d"}`, id, i)})
		}
		snap.AddPool(pool)
	}
	if err := store.Restore(ctx, snap); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	op := func(n int) poolkeeper.Op {
		return poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(fmt.Sprint("pool", n%pools)),
			ID: fmt.Sprintf("ab226ca1-2651-430f-a1f0-%012d", n/pools%providers), N: 1, At: time.Now().UnixMilli()}
	}
	total, ops := time.Duration(0), 0
	for range b.N + 1 { // the first time counts for nothing: each is a first use
		log, err := backlog.Open(dir, nil)
		if err != nil {
			b.Fatal(err)
		}
		var next atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				for n := next.Add(1); n <= int64(pools*providers); n = next.Add(1) {
					if _, err := log.Append(ctx, op(int(n))); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		q, err := queue.New(ctx, func(ctx context.Context) (queue.Source, error) {
			return redisstore.Open(ctx, srv.SocketURL(), options(log))
		}, log, nil)
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now() // with the first look at the store it has just begun
		for log.State().Ops > 0 {
			time.Sleep(100 * time.Microsecond)
		}
		if ops += pools * providers; ops > pools*providers {
			total += time.Since(began)
		}
		q.Close()
	}
	b.ReportMetric(float64(b.N*pools*providers)/total.Seconds(), "ops/s")
}

// BenchmarkQueue measures what is acknowledged while the store is away.
func BenchmarkQueue(b *testing.B) {
	for _, kind := range []poolkeeper.OpKind{poolkeeper.OpUsage, poolkeeper.OpError} {
		for _, callers := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("%s/callers=%d", kind, callers), func(b *testing.B) {
				log, err := backlog.Open(b.TempDir(), nil)
				if err != nil {
					b.Fatal(err)
				}
				q, err := queue.New(context.Background(), func(context.Context) (queue.Source, error) {
					return nil, poolkeeper.ErrUnavailable
				}, log, nil)
				if err != nil {
					b.Fatal(err)
				}
				defer q.Close()
				key := poolkeeper.PoolKey("claude-kiro-oauth")
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for range callers {
					wg.Go(func() {
						for n := left.Add(-1); n >= 0; n = left.Add(-1) {
							op := poolkeeper.Op{Kind: kind, Key: key, ID: fmt.Sprintf("ab226ca1-2651-430f-a1f0-%012d", n%100), At: 1_769_337_000_000}
							if kind == poolkeeper.OpUsage {
								op.N = 1
							}
							if res := q.Apply(context.Background(), op)[0]; res.Err != nil {
								b.Error(res.Err)
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
			})
		}
	}
}
