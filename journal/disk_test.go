package journal_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
	"github.com/poolkeeper/poolkeeper/journal"
)

// A segment that is alone and full can be trimmed, and a journal of any size
// goes on after a trim.
func TestFullAndTrimmed(t *testing.T) {
	for _, size := range []int64{1, 30, 100, 1000, 5000} {
		j := open(t, t.TempDir(), &journal.Options{MaxBytes: size, SegmentBytes: 1 << 20})
		kept := 0
		for i := range 200 {
			_, err := j.Append(t.Context(), nil, make([]byte, i*37%700))
			if err == nil {
				kept++
				continue
			}
			if !errors.Is(err, journal.ErrFull) {
				t.Fatalf("%d bytes, append %d: %v", size, i, err)
			}
			if err := j.Trim(j.Last()); err != nil {
				t.Fatal(err)
			}
			if j.Size() > size/4+1000 {
				t.Errorf("%d bytes, %d in use after a trim of all", size, j.Size())
			}
		}
		if j.Last() != uint64(kept) {
			t.Errorf("%d bytes: record %d is the last of %d", size, j.Last(), kept)
		}
		if size >= 1000 && kept < 100 {
			t.Errorf("%d bytes: only %d records", size, kept)
		}
		j.Close()
	}
}

// On a full disk an append fails, also where it needs a new segment; what was
// acknowledged can be read and trimmed, and the journal be opened.
func TestDiskFull(t *testing.T) {
	for _, call := range []string{"write", "create"} {
		m, plan := faultfs.NewMemory(), &faultfs.Plan{Fault: faultfs.Full, On: call, At: 60}
		j := open(t, "DIR", &journal.Options{FS: faultfs.New(m, plan), SegmentBytes: 200})
		var acked []string
		var err error
		for err == nil {
			record := fmt.Sprintf("%030d", len(acked)+1)
			var first uint64
			if first, err = j.Append(t.Context(), nil, []byte(record)); err == nil {
				acked = append(acked, fmt.Sprint(first, " ", record))
			}
			if len(acked) > 1000 {
				t.Fatal("the disk never fills up")
			}
		}
		if !errors.Is(err, poolkeeper.ErrUnavailable) || !strings.Contains(poolkeeper.HintOf(err), "disk") {
			t.Errorf("%s: %v", call, err)
		}
		if got := read(t, j, 0); !slices.Equal(got, acked) {
			t.Errorf("%s: %d records of %d", call, len(got), len(acked))
		}
		if err := j.Trim(3); err != nil {
			t.Errorf("%s: %v", call, err)
		}
		j.Close()
		if call == "create" {
			continue // not even the lock can be made
		}
		j, err = journal.Open("DIR", &journal.Options{FS: faultfs.New(m, plan), SegmentBytes: 200})
		if err != nil {
			t.Fatalf("%s: %v", call, err)
		}
		if got := read(t, j, 0); len(got) == 0 || !slices.Equal(got, acked[len(acked)-len(got):]) {
			t.Errorf("%s: %d records of %d", call, len(got), len(acked))
		}
		plan.At = 0
		if first := add(t, j, "there is room again"); first != uint64(len(acked))+1 {
			t.Errorf("%s: the next record is %d, after %d", call, first, len(acked))
		}
		j.Close()
	}
}

// Where the disk has no room for the zeros, the frame alone is written.
func TestNoRoomAhead(t *testing.T) {
	m, plan := faultfs.NewMemory(), &faultfs.Plan{Fault: faultfs.Full}
	j := open(t, "DIR", &journal.Options{FS: faultfs.New(m, plan)})
	plan.At = plan.Count() + 1 // the first frame
	add(t, j, "one")
	add(t, j, "two")
	if got := read(t, j, 0); !slices.Equal(got, []string{"1 one", "2 two"}) {
		t.Errorf("got %q", got)
	}
}

// A failed write that cannot be taken back ends the appends, until the journal
// is opened again.
func TestCannotBeTakenBack(t *testing.T) {
	m, plan := faultfs.NewMemory(), &faultfs.Plan{}
	j := open(t, "DIR", &journal.Options{FS: faultfs.New(m, plan)})
	add(t, j, "one")
	plan.On, plan.At = "sync", plan.Count()+1
	if _, err := j.Append(t.Context(), nil, []byte("two")); !errors.Is(err, poolkeeper.ErrIndeterminate) {
		t.Errorf("the write: %v", err)
	}
	plan.On, plan.At = "", 0
	if _, err := j.Append(t.Context(), nil, []byte("three")); !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Errorf("the next one: %v", err)
	}
	if got := read(t, j, 0); !slices.Equal(got, []string{"1 one"}) {
		t.Errorf("got %q", got)
	}
	j.Close()
	j = open(t, "DIR", &journal.Options{FS: m})
	if first := add(t, j, "four"); first != 2 && first != 3 {
		t.Errorf("the next record is %d", first)
	}
}

// Readers see whole records in their order, while others append and trim.
func TestReadWhileTrimming(t *testing.T) {
	j := open(t, t.TempDir(), &journal.Options{SegmentBytes: 500})
	const n = 400
	done := make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range n {
			if first := add(t, j, fmt.Sprintf("record %d", i+1)); first%10 == 0 {
				if err := j.Trim(first - 5); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 2 {
		wg.Go(func() {
			for more := true; more; {
				select {
				case <-done:
					more = false
				default:
				}
				before, last := uint64(0), j.Last()
				if err := j.Read(0, func(seq uint64, data []byte) error {
					if string(data) != fmt.Sprintf("record %d", seq) || seq <= before {
						t.Errorf("record %d, after %d, is %q", seq, before, data)
					}
					before = seq
					return nil
				}); err != nil {
					t.Error(err)
				}
				if before < last && last >= j.First() {
					t.Errorf("%d was durable, and record %d is the last that was read", last, before)
				}
			}
		})
	}
	wg.Wait()
}

// A trim that fails loses nothing from sight, and can be done again.
func TestFailedTrim(t *testing.T) {
	m, plan := faultfs.NewMemory(), &faultfs.Plan{}
	j := open(t, "DIR", &journal.Options{FS: faultfs.New(m, plan), SegmentBytes: 100})
	for i := range 10 {
		add(t, j, fmt.Sprintf("%080d", i))
	}
	size := j.Size()
	plan.On, plan.At = "remove", plan.Count()+1
	if err := j.Trim(5); !errors.Is(err, poolkeeper.ErrUnavailable) || j.First() != 1 || j.Size() != size || len(read(t, j, 0)) != 10 {
		t.Errorf("%v; it begins with %d, and has %d of %d bytes", err, j.First(), j.Size(), size)
	}
	plan.At = 0
	if err := j.Trim(5); err != nil || j.First() != 6 || j.Size() >= size {
		t.Errorf("%v; it begins with %d, and has %d of %d bytes", err, j.First(), j.Size(), size)
	}
}
