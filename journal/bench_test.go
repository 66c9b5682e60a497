package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/poolkeeper/poolkeeper/journal"
)

// recordBytes is about what an increment takes.
const recordBytes = 150

// BenchmarkAppend appends from so many callers at once, each waiting for its
// record to be durable, beside one fsync for each record by plain calls. In the
// order in which they run, a disk that gets slower meanwhile shows.
func BenchmarkAppend(b *testing.B) {
	b.Run("fsync each", benchmarkFsync)
	for _, callers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j := open(b, b.TempDir(), &journal.Options{MaxBytes: 1 << 40})
			record := make([]byte, recordBytes)
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := j.Append(context.Background(), nil, record); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			if j.Last() != uint64(b.N) {
				b.Errorf("%d records of %d", j.Last(), b.N)
			}
		})
	}
	b.Run("fsync each again", benchmarkFsync)
}

func benchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	record := make([]byte, recordBytes)
	for b.Loop() {
		if _, err := f.Write(record); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
