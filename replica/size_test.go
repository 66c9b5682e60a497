package replica_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// full is a snapshot of n providers with a token each.
func full(n int) *poolkeeper.Snapshot {
	snap := filled(n)
	for i := range snap.Pools["claude-kiro-oauth"].Providers {
		ref := snap.Pools["claude-kiro-oauth"].Providers[i].Ref
		snap.Values[poolkeeper.TokenKey(ref)] = poolkeeper.Document{Data: fmt.Appendf(nil, `{"accessToken":"FAKE-%s","refreshToken":"FAKE-%s","expiresAt":"2026-01-02T03:04:05.678Z","region":"us-east-1"}`,
			strings.Repeat("a", 200), strings.Repeat("r", 200))}
	}
	return snap
}

// TestMemory: a provider, its token and its runtime state take no more than 2.5 KiB.
func TestMemory(t *testing.T) {
	const n, most = 10_000, 2560
	srv := redistest.Start(t)
	source := openRedis(t, srv.SocketURL(), "p:")
	if err := source.Restore(t.Context(), full(n)); err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	b := over(t, source, nil)
	defer b.Close()
	each := int64(heap()-before) / n
	if b.View().Pool("claude-kiro-oauth").Len() != n {
		t.Fatal("the copy is not whole")
	}
	t.Logf("%d bytes for each provider and token", each)
	if each > most || each < 500 {
		t.Errorf("%d bytes for each provider and token, want at most %d", each, most)
	}
	runtime.KeepAlive(b)
}

// BenchmarkOpen makes the copy of 10,000 providers and tokens in Redis.
func BenchmarkOpen(b *testing.B) {
	srv := redistest.Start(b)
	source := openRedis(b, srv.SocketURL(), "p:")
	if err := source.Restore(b.Context(), full(10_000)); err != nil {
		b.Fatal(err)
	}
	source.Close()
	for b.Loop() {
		begin := time.Now()
		r := over(b, openRedis(b, srv.SocketURL(), "p:"), nil)
		b.ReportMetric(float64(time.Since(begin).Milliseconds()), "ms/open")
		if r.View().Pool("claude-kiro-oauth").Len() != 10_000 {
			b.Fatal("the copy is not whole")
		}
		r.Close()
	}
}
