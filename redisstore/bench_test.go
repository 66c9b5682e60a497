package redisstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// BenchmarkUsage measures acknowledged increments over a pool of providers of
// about 600 bytes, by how many callers there are and whether they hit one.
// poolkeeper bench sets the same beside redis-benchmark.
func BenchmarkUsage(b *testing.B) {
	srv, stop, err := redistest.StartMain()
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	ctx := context.Background()
	const providers = 100
	backend, err := redisstore.Open(ctx, srv.SocketURL(), nil)
	if err != nil {
		b.Fatal(err)
	}
	snap := poolkeeper.NewSnapshot()
	pool := &poolkeeper.Pool{Type: "claude-kiro-oauth"}
	refs := make([]poolkeeper.Ref, providers)
	for i := range refs {
		refs[i] = poolkeeper.Ref{Type: pool.Type, ID: fmt.Sprintf("ab226ca1-2651-430f-a1f0-%012d", i)}
		pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: refs[i],
			Definition: fmt.Appendf(nil, `{"uuid":%q,"usageCount":0,"note":"%0550d"}`, refs[i].ID, i)})
	}
	snap.AddPool(pool)
	if err := backend.Restore(ctx, snap); err != nil {
		b.Fatal(err)
	}
	st := poolkeeper.New(backend, nil)
	defer st.Close()
	for _, callers := range []int{1, 100, 1000} {
		for _, spread := range []int{providers, 1} {
			b.Run(fmt.Sprintf("callers=%d/providers=%d", callers, spread), func(b *testing.B) {
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for c := range callers {
					wg.Go(func() {
						for i := c; left.Add(-1) >= 0; i += 7 {
							if _, err := st.Usage(ctx, refs[i%spread], 1); err != nil {
								b.Error(err)
								return
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
