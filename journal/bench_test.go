package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
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

// BenchmarkSync writes and syncs frames of so many bytes by plain calls: at the
// end of the file, and over zeros that were written before.
func BenchmarkSync(b *testing.B) {
	for _, size := range []int{recordBytes, 100 * recordBytes, 1000 * recordBytes} {
		for _, zeros := range []bool{false, true} {
			name := fmt.Sprintf("%d bytes at the end", size)
			if zeros {
				name = fmt.Sprintf("%d bytes over zeros", size)
			}
			b.Run(name, func(b *testing.B) {
				const bound = 64 << 20
				fsys, err := vfs.Open(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				defer fsys.Close()
				f, err := fsys.OpenFile("log", os.O_RDWR|os.O_CREATE, 0o600)
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				frame, at := bytes.Repeat([]byte("x"), size), int64(bound)
				for b.Loop() {
					if at+int64(size) > bound { // at the beginning, and again where it is full
						b.StopTimer()
						at = 0
						err := f.Truncate(0)
						for z := 0; zeros && err == nil && z < bound; z += 1 << 20 {
							_, err = f.WriteAt(make([]byte, 1<<20), int64(z))
						}
						if err = errors.Join(err, f.Sync()); err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
					}
					if _, err := f.WriteAt(frame, at); err != nil {
						b.Fatal(err)
					}
					if err := f.SyncData(); err != nil {
						b.Fatal(err)
					}
					at += int64(size)
				}
			})
		}
	}
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
