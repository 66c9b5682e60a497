package filestore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/filestore"
)

var exactTime = flag.Duration("exact.time", 2*time.Second, "how long the callers of TestExact count, in all")

const (
	exactCallers   = 100
	exactProviders = 100
)

// TestExactChild is the process in which the callers are.
func TestExactChild(t *testing.T) {
	dir := os.Getenv("POOLKEEPER_TEST_EXACT")
	if dir == "" {
		return
	}
	s, err := filestore.Open(context.Background(), dir, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	st := poolkeeper.New(s, nil)
	pipe := os.NewFile(3, "pipe")
	var wg sync.WaitGroup
	for i := range exactCallers {
		wg.Go(func() {
			for n := i; ; n += 7 {
				p := n % exactProviders
				// One write of few bytes goes into a pipe whole.
				pipe.Write([]byte{'t', byte(p)})
				if _, err := st.Usage(context.Background(), poolkeeper.Ref{Type: "t", ID: strconv.Itoa(p)}, 1); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				pipe.Write([]byte{'a', byte(p)})
			}
		})
	}
	wg.Wait()
}

// TestExact has 100 callers in a process that is killed, again and again. What
// the files say at the end is held against what each caller was told, and while
// it runs, how old they are. -exact.time makes it run longer.
func TestExact(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "configs")
	s := openAt(t, dir, nil)
	snap := poolkeeper.NewSnapshot()
	pool := &poolkeeper.Pool{Type: "t"}
	for i := range exactProviders {
		id := strconv.Itoa(i)
		pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "t", ID: id}, Definition: []byte(`{"uuid":"` + id + `"}`)})
	}
	snap.AddPool(pool)
	if err := s.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	s.Close()

	var tried, acked [exactProviders]int64
	rounds := max(2, int(*exactTime/(10*time.Second)))
	var oldest time.Duration
	for range rounds {
		oldest = max(oldest, countAndKill(t, dir, *exactTime/time.Duration(rounds), &tried, &acked))
		// The files as a gateway would find them are read plainly, after the
		// store has put the journal on top.
		openAt(t, dir, nil).Close()
		sums := readCounts(t, dir)
		for i := range sums {
			if sums[i] < acked[i] || sums[i] > tried[i] {
				t.Fatalf("provider %d has %d; %d were acknowledged, %d tried", i, sums[i], acked[i], tried[i])
			}
			tried[i], acked[i] = sums[i], sums[i] // the others were not counted, or were
		}
	}
	total := int64(0)
	for _, n := range acked {
		total += n
	}
	t.Logf("%d increments, %.0f a second, %d processes killed; the files were at most %v behind", total, float64(total)/exactTime.Seconds(), rounds, oldest.Round(10*time.Millisecond))
	if total == 0 {
		t.Error("nothing was counted")
	}
}

// countAndKill lets the callers count for a while, kills them, and returns how
// old the files were at most meanwhile.
func countAndKill(t *testing.T, dir string, d time.Duration, tried, acked *[exactProviders]int64) time.Duration {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestExactChild$")
	cmd.Env = append(os.Environ(), "POOLKEEPER_TEST_EXACT="+dir)
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var mu sync.Mutex
	done := make(chan error, 1)
	go func() {
		in := bufio.NewReaderSize(r, 1<<16)
		for {
			var b [2]byte
			if _, err := io.ReadFull(in, b[:]); err != nil {
				done <- nil
				return
			}
			mu.Lock()
			if b[0] == 't' {
				tried[b[1]]++
			} else {
				acked[b[1]]++
			}
			mu.Unlock()
		}
	}()
	sum := func(counts *[exactProviders]int64) (n int64) {
		for _, c := range counts {
			n += c
		}
		return n
	}
	type moment struct {
		at    time.Time
		acked int64
	}
	var history []moment
	var oldest time.Duration
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		mu.Lock()
		history = append(history, moment{time.Now(), sum(acked)})
		mu.Unlock()
		sums := readCounts(t, dir)
		now, there := time.Now(), sum(&sums)
		for len(history) > 1 && history[1].acked <= there {
			history = history[1:]
		}
		if len(history) > 1 { // the file has not even what was acknowledged then
			oldest = max(oldest, now.Sub(history[1].at))
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the process was not killed: %v", err)
	}
	<-done
	return oldest
}

// readCounts reads the counters from the file, with nothing of the store's.
func readCounts(t *testing.T, dir string) (counts [exactProviders]int64) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "provider_pools.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pools map[string][]struct {
		UUID       string `json:"uuid"`
		UsageCount int64  `json:"usageCount"`
	}
	if err := json.Unmarshal(data, &pools); err != nil {
		t.Fatalf("provider_pools.json is torn: %v", err)
	}
	for _, p := range pools["t"] {
		i, err := strconv.Atoi(p.UUID)
		if err != nil {
			t.Fatal(err)
		}
		counts[i] = p.UsageCount
	}
	return counts
}

// BenchmarkUsage has 100 callers count with acknowledgement, beside as many
// single writes with a sync each on the same disk.
func BenchmarkUsage(b *testing.B) {
	b.Run("filestore", func(b *testing.B) {
		dir := filepath.Join(b.TempDir(), "configs")
		s := openAt(b, dir, nil)
		snap := poolkeeper.NewSnapshot()
		pool := &poolkeeper.Pool{Type: "t"}
		for i := range exactProviders {
			id := strconv.Itoa(i)
			pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "t", ID: id}, Definition: []byte(`{"uuid":"` + id + `"}`)})
		}
		snap.AddPool(pool)
		if err := s.Restore(b.Context(), snap); err != nil {
			b.Fatal(err)
		}
		st := poolkeeper.New(s, nil)
		callers(b, func(n int) error {
			_, err := st.Usage(b.Context(), poolkeeper.Ref{Type: "t", ID: strconv.Itoa(n % exactProviders)}, 1)
			return err
		})
	})
	b.Run("sync-each", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "log"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		var mu sync.Mutex
		line := make([]byte, 150)
		callers(b, func(int) error {
			mu.Lock()
			defer mu.Unlock()
			if _, err := f.Write(line); err != nil {
				return err
			}
			return f.Sync()
		})
	})
}

// callers has 100 callers do something b.N times together.
func callers(b *testing.B, do func(n int) error) {
	work := make(chan int, 1024)
	var wg sync.WaitGroup
	for range exactCallers {
		wg.Go(func() {
			for n := range work {
				for k := range 16 {
					if err := do(n + k); err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += 16 {
		work <- n
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
