package replica_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// filled is a snapshot of a pool of n providers of about 600 bytes.
func filled(n int) *poolkeeper.Snapshot {
	snap := poolkeeper.NewSnapshot()
	p := &poolkeeper.Pool{Type: "claude-kiro-oauth"}
	for i := range n {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		one := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: p.Type, ID: id},
			Definition: fmt.Appendf(nil, `{"uuid":%q,"customName":"account %d","isDisabled":false,"notes":"%s"}`, id, i, strings.Repeat("n", 480))}
		one.State.Set(poolkeeper.UsageCount, fmt.Sprint(i))
		one.State.Set(poolkeeper.LastUsed, `"2026-01-02T03:04:05.678Z"`)
		one.State.Set(poolkeeper.IsHealthy, "true")
		p.Providers = append(p.Providers, one)
	}
	snap.AddPool(p)
	return snap
}

func inBench(b *testing.B, n int) *poolkeeper.Store {
	b.Helper()
	source := memstore.New(nil)
	if err := source.Restore(b.Context(), filled(n)); err != nil {
		b.Fatal(err)
	}
	st := poolkeeper.New(over(b, source, nil), nil)
	b.Cleanup(func() { st.Close() })
	return st
}

// cpu is the time that this process has spent on processors.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var sink int64

// BenchmarkProvider looks one provider up among 1,000 and reads its counter.
func BenchmarkProvider(b *testing.B) {
	st := inBench(b, 1000)
	ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "00000000-0000-4000-8000-000000000500"}
	b.ReportAllocs()
	for b.Loop() {
		v, err := st.View(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		sink += v.Provider(ref).Count(poolkeeper.UsageCount)
	}
}

// BenchmarkProviderOfPool does so in a pool that is at hand.
func BenchmarkProviderOfPool(b *testing.B) {
	v, err := inBench(b, 1000).View(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	pool, id := v.Pool("claude-kiro-oauth"), "00000000-0000-4000-8000-000000000500"
	b.ReportAllocs()
	for b.Loop() {
		sink += pool.Provider(id).Count(poolkeeper.UsageCount)
	}
}

// BenchmarkMap looks the same id up in a map of Go, to compare with.
func BenchmarkMap(b *testing.B) {
	m, id := map[string]int64{}, "00000000-0000-4000-8000-000000000500"
	for i := range 1000 {
		m[fmt.Sprintf("00000000-0000-4000-8000-%012d", i)] = 1
	}
	b.ReportAllocs()
	for b.Loop() {
		sink += m[id]
	}
}

// BenchmarkScan1000 looks for the healthy provider that was used the least.
func BenchmarkScan1000(b *testing.B) {
	st := inBench(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		v, err := st.View(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		pool := v.Pool("claude-kiro-oauth")
		least := int64(-1)
		for i := range pool.Len() {
			p := pool.At(i)
			if n := p.Count(poolkeeper.UsageCount); p.Healthy() && !p.Disabled() && (least < 0 || n < least) {
				least = n
			}
		}
		sink += least
	}
}

// BenchmarkUsage counts with 100 callers, on Redis alone and through a Replica.
func BenchmarkUsage(b *testing.B) {
	url := redistest.Start(b).SocketURL()
	for _, name := range []string{"alone", "replica", "alone2", "replica2"} {
		b.Run(name, func(b *testing.B) {
			source := openRedis(b, url, name+fmt.Sprint(rand.Uint32())+":")
			if err := source.Restore(b.Context(), filled(100)); err != nil {
				b.Fatal(err)
			}
			backend := poolkeeper.Backend(source)
			if strings.HasPrefix(name, "replica") {
				backend = over(b, source, nil)
			}
			st := poolkeeper.New(backend, nil)
			defer st.Close()
			begin, used := time.Now(), cpu()
			var wg sync.WaitGroup
			for c := range 100 {
				wg.Go(func() {
					for i := c; i < b.N; i += 100 {
						ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", rand.IntN(100))}
						if _, err := st.Usage(b.Context(), ref, 1); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(cpu()-used)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "ops/s")
		})
	}
}
