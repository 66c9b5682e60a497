package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/journal"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDir) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, dir string, opts *journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func add(t testing.TB, j *journal.Journal, records ...string) uint64 {
	t.Helper()
	var all [][]byte
	for _, r := range records {
		all = append(all, []byte(r))
	}
	first, err := j.Append(context.Background(), nil, all...)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// read returns "sequence record" for all records from a sequence on.
func read(t testing.TB, j *journal.Journal, from uint64) []string {
	t.Helper()
	var all []string
	if err := j.Read(from, func(seq uint64, data []byte) error {
		all = append(all, fmt.Sprint(seq, " ", string(data)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAppendAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "journal")
	j := open(t, dir, nil)
	if j.Last() != 0 || j.First() != 1 {
		t.Errorf("an empty journal has records %d to %d", j.First(), j.Last())
	}
	if first := add(t, j, "one", ""); first != 1 {
		t.Errorf("the first record is %d", first)
	}
	if first := add(t, j, "three"); first != 3 {
		t.Errorf("the third record is %d", first)
	}
	for range 2 {
		if got, want := read(t, j, 0), []string{"1 one", "2 ", "3 three"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := read(t, j, 3), []string{"3 three"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		j.Close()
		j = open(t, dir, nil)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	stop := errors.New("enough")
	if err := j.Read(0, func(uint64, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of the caller became %v", err)
	}
	j.Close()
	if _, err := j.Append(t.Context(), nil, []byte("x")); !errors.Is(err, poolkeeper.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, nil)
	_, err := journal.Open(dir, nil)
	if !errors.Is(err, poolkeeper.ErrUnavailable) || poolkeeper.HintOf(err) == "" {
		t.Errorf("the second one: %v", err)
	}
	if want := fmt.Sprint("process ", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v names neither directory nor %s", err, want)
	}
	j.Close()
	open(t, dir, nil)
}

func TestTrim(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, &journal.Options{SegmentBytes: 200})
	for i := range 20 {
		add(t, j, fmt.Sprintf("%060d", i+1))
	}
	before := j.Size()
	if err := j.Trim(10); err != nil {
		t.Fatal(err)
	}
	if j.First() > 11 || j.First() == 1 || j.Size() >= before {
		t.Errorf("it begins with %d of %d, and has %d of %d bytes", j.First(), j.Last(), j.Size(), before)
	}
	if err := j.Trim(1000); err != nil {
		t.Fatal(err)
	}
	j.Close()
	j = open(t, dir, &journal.Options{SegmentBytes: 200})
	if first := add(t, j, "next"); first != 21 {
		t.Errorf("after a trim of all, the next record is %d, want 21", first)
	}
	if got := read(t, j, 21); !slices.Equal(got, []string{"21 next"}) {
		t.Errorf("got %q", got)
	}
}

func TestFull(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, &journal.Options{MaxBytes: 1000, SegmentBytes: 300})
	n := 0
	var err error
	for err == nil && n < 100 {
		if _, err = j.Append(t.Context(), nil, make([]byte, 100)); err == nil {
			n++
		}
	}
	if !errors.Is(err, journal.ErrFull) || !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Fatalf("after %d records: %v", n, err)
	}
	if j.Size() > 1000 || len(read(t, j, 0)) != n {
		t.Errorf("%d bytes, %d records of %d", j.Size(), len(read(t, j, 0)), n)
	}
	if err := j.Trim(j.Last()); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), nil, make([]byte, 100)); err != nil {
		t.Errorf("after a trim: %v", err)
	}
	if _, err := j.Append(t.Context(), nil); !errors.Is(err, poolkeeper.ErrInvalid) {
		t.Errorf("no record: %v", err)
	}
	if _, err := j.Append(t.Context(), nil, make([]byte, journal.MaxRecord+1)); !errors.Is(err, poolkeeper.ErrTooLarge) {
		t.Errorf("a large record: %v", err)
	}
}

// The commits are called in the order of the sequences, when the records are
// durable; a cancelled append leaves nothing.
func TestConcurrentAppends(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, &journal.Options{SegmentBytes: 4096})
	var wg sync.WaitGroup
	var mu sync.Mutex
	committed, cancelled := map[string]uint64{}, map[string]bool{}
	next := uint64(1)
	for c := range 50 {
		wg.Go(func() {
			for i := range 20 {
				one, two := fmt.Sprintf("%d/%d", c, i), fmt.Sprintf("%d/%d+", c, i)
				ctx, cancel := context.WithCancel(context.Background())
				if c%5 == 0 {
					go cancel()
				}
				first, err := j.Append(ctx, func(first uint64) {
					if first != next { // no lock: commits come one at a time
						t.Errorf("commit of %d, where %d is due", first, next)
					}
					next = first + 2
				}, []byte(one), []byte(two))
				cancel()
				mu.Lock()
				if err == nil {
					committed[one], committed[two] = first, first+1
				} else if cancelled[one] = true; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	j.Close()
	j = open(t, dir, nil)
	got := 0
	if err := j.Read(0, func(seq uint64, data []byte) error {
		got++
		if committed[string(data)] != seq {
			t.Errorf("record %d is %q, which was acknowledged as %d", seq, data, committed[string(data)])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got != len(committed) || got == 0 {
		t.Errorf("%d records, %d acknowledged", got, len(committed))
	}
}
