package filestore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
)

// BenchmarkCheckpointKeys makes a checkpoint after one increment, with a million
// idempotency keys that still count.
func BenchmarkCheckpointKeys(b *testing.B) {
	const keys, group = 1_000_000, 1000
	ctx := context.Background()
	dir := filepath.Join(b.TempDir(), "configs")
	benchDir(b, dir, 100, false)
	s, err := filestore.Open(ctx, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	use := func(n, group int) {
		ops := make([]poolkeeper.Op, group)
		for i := range ops {
			ops[i] = poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: strconv.Itoa(i % 100), N: 1,
				IdempotencyKey: fmt.Sprintf("4f0c61b2-0000-4000-8000-%012d", n+i)}
		}
		for _, r := range s.Apply(ctx, ops...) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
	heap := heapInUse()
	for n := 0; n < keys; n += group {
		use(n, group)
	}
	if err := s.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	heap = heapInUse() - heap
	n := keys
	for b.Loop() {
		use(n, 1)
		n++
		if err := s.Flush(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(heap)/keys, "B/key")
	if again, err := filestore.Open(ctx, copyOf(b, dir), nil); err != nil {
		b.Error(err)
	} else {
		again.Close()
	}
}

// BenchmarkApplyDuringCheckpoints has 100 callers count for 10 s while the files
// are written as often as they are in use, beside 100,000 tokens where there are
// that many providers.
func BenchmarkApplyDuringCheckpoints(b *testing.B) {
	for _, providers := range []int{100, 100_000} {
		b.Run(strconv.Itoa(providers), func(b *testing.B) {
			ctx := context.Background()
			dir := filepath.Join(b.TempDir(), "configs")
			benchDir(b, dir, providers, true)
			began, heap := time.Now(), heapInUse()
			s, err := filestore.Open(ctx, dir, nil)
			if err != nil {
				b.Fatal(err)
			}
			open := time.Since(began)
			heap = heapInUse() - heap
			var mu sync.Mutex
			var took []time.Duration
			for b.Loop() {
				var wg sync.WaitGroup
				end := time.Now().Add(10 * time.Second)
				for i := range 100 {
					wg.Go(func() {
						var mine []time.Duration
						for n := i; ; n += 7919 {
							at := time.Now()
							if at.After(end) {
								break
							}
							r := s.Apply(ctx, poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: strconv.Itoa(n % providers), N: 1})
							if r[0].Err != nil {
								b.Error(r[0].Err)
								return
							}
							mine = append(mine, time.Since(at))
						}
						mu.Lock()
						took = append(took, mine...)
						mu.Unlock()
					})
				}
				wg.Wait()
			}
			b.ReportMetric(open.Seconds(), "open-s")
			b.ReportMetric(float64(heap)/float64(providers), "B/provider")
			slices.Sort(took)
			at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
			b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "uses/s")
			b.ReportMetric(at(0.5), "p50-ms")
			b.ReportMetric(at(0.99), "p99-ms")
			b.ReportMetric(at(0.9999), "p99.99-ms")
			b.ReportMetric(at(1), "max-ms")
			began = time.Now()
			if err := s.Flush(ctx); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(began).Seconds(), "checkpoint-s")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// benchDir writes a directory with one pool, and a token for each of its
// providers.
func benchDir(b *testing.B, dir string, providers int, tokens bool) {
	b.Helper()
	var pools bytes.Buffer
	pools.WriteString(`{"t":[`)
	if err := os.MkdirAll(filepath.Join(dir, "kiro"), 0o700); err != nil {
		b.Fatal(err)
	}
	for i := range providers {
		if i > 0 {
			pools.WriteByte(',')
		}
		fmt.Fprintf(&pools, `{"uuid":"%d","customName":"account %d","checkHealth":true,"isHealthy":true,"isDisabled":false,"usageCount":%d,"errorCount":0,"lastUsed":null,"lastErrorTime":null,"padding":%q`,
			i, i, i, bytes.Repeat([]byte("x"), 300))
		if tokens {
			fmt.Fprintf(&pools, `,"KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/%d.json"`, i)
			if err := os.WriteFile(filepath.Join(dir, "kiro", strconv.Itoa(i)+".json"), fmt.Appendf(nil, `{"accessToken":"a%d","refreshToken":"r%d"}`, i, i), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		pools.WriteByte('}')
	}
	pools.WriteString(`]}`)
	if err := os.WriteFile(filepath.Join(dir, "provider_pools.json"), pools.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{}`), 0o600); err != nil {
		b.Fatal(err)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
