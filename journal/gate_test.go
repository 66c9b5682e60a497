package journal_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
	"github.com/poolkeeper/poolkeeper/journal"
)

// A gate holds up each sync of a frame until it is let through, with an error
// where there is one.
type gate struct {
	vfs.FS
	let chan error
}

func (g *gate) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := g.FS.OpenFile(name, flag, perm)
	return &gateFile{f, g}, err
}

type gateFile struct {
	vfs.File
	gate *gate
}

func (f *gateFile) SyncData() error {
	if err := <-f.gate.let; err != nil {
		return err
	}
	return f.File.SyncData()
}

// gated runs a test on a journal whose syncs wait.
func gated(t *testing.T, opts journal.Options, fn func(t *testing.T, g *gate, j *journal.Journal)) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{faultfs.NewMemory(), make(chan error)}
		opts.FS = g
		fn(t, g, open(t, "DIR", &opts))
	})
}

// Appends that come while one is being written are written together, with one
// sync.
func TestSharedSync(t *testing.T) {
	gated(t, journal.Options{}, func(t *testing.T, g *gate, j *journal.Journal) {
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { add(t, j, fmt.Sprint(i)) })
			synctest.Wait()
		}
		if j.Last() != 0 {
			t.Errorf("record %d is durable before any sync", j.Last())
		}
		g.let <- nil
		synctest.Wait()
		if j.Last() != 1 {
			t.Errorf("after one sync, record %d is the last", j.Last())
		}
		g.let <- nil
		wg.Wait()
		if j.Last() != 100 {
			t.Errorf("after two syncs, record %d is the last", j.Last())
		}
		for i, r := range read(t, j, 0) { // in the order in which they came
			if r != fmt.Sprint(i+1, " ", i) {
				t.Errorf("record %q at place %d", r, i)
			}
		}
	})
}

// An append that waits is given up with its context at once, and leaves
// nothing; one whose write is under way is not.
func TestCancelWhileWaiting(t *testing.T) {
	gated(t, journal.Options{}, func(t *testing.T, g *gate, j *journal.Journal) {
		var wg sync.WaitGroup
		cancels := map[string]context.CancelFunc{}
		errs := map[string]error{}
		var mu sync.Mutex
		for _, name := range []string{"first", "second", "third"} {
			ctx, cancel := context.WithCancel(t.Context())
			cancels[name] = cancel
			wg.Go(func() {
				_, err := j.Append(ctx, nil, []byte(name))
				mu.Lock()
				defer mu.Unlock()
				errs[name] = err
			})
			synctest.Wait()
		}
		cancels["first"]()
		cancels["second"]()
		synctest.Wait()
		mu.Lock()
		if err, back := errs["second"]; !back || !errors.Is(err, context.Canceled) || len(errs) != 1 {
			t.Errorf("while the write waits: %v", errs)
		}
		mu.Unlock()
		close(g.let)
		wg.Wait()
		cancels["third"]()
		if errs["first"] != nil || errs["third"] != nil {
			t.Errorf("%v", errs)
		}
		if got := read(t, j, 0); !slices.Equal(got, []string{"1 first", "2 third"}) {
			t.Errorf("got %q", got)
		}
		if _, err := j.Append(func() context.Context { c, cancel := context.WithCancel(t.Context()); cancel(); return c }(), nil, []byte("x")); !errors.Is(err, context.Canceled) || j.Last() != 2 {
			t.Errorf("one that has ended before: %v", err)
		}
	})
}

// Close waits for the appends under way, and refuses those that come later.
func TestCloseDuringAppends(t *testing.T) {
	gated(t, journal.Options{}, func(t *testing.T, g *gate, j *journal.Journal) {
		var appends, closes sync.WaitGroup
		for range 3 {
			appends.Go(func() { add(t, j, "before") })
			synctest.Wait()
		}
		var closed atomic.Int32
		for range 2 {
			closes.Go(func() { j.Close(); closed.Add(1) })
			synctest.Wait()
		}
		for name, err := range map[string]error{
			"an append": func() error { _, err := j.Append(t.Context(), nil, []byte("after")); return err }(),
			"a read":    j.Read(0, func(uint64, []byte) error { return nil }),
			"a trim":    j.Trim(1),
		} {
			if !errors.Is(err, poolkeeper.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if closed.Load() != 0 {
			t.Error("it has not waited")
		}
		close(g.let)
		appends.Wait()
		closes.Wait()
		j = open(t, "DIR", &journal.Options{FS: g})
		if got := read(t, j, 0); len(got) != 3 {
			t.Errorf("got %q", got)
		}
	})
}

// One append that the journal has no room for does not fail those that it waits
// with.
func TestFullForOne(t *testing.T) {
	gated(t, journal.Options{MaxBytes: 1000}, func(t *testing.T, g *gate, j *journal.Journal) {
		var wg sync.WaitGroup
		var errs [4]error
		for i, size := range []int{10, 10, 2000, 10} {
			wg.Go(func() { _, errs[i] = j.Append(t.Context(), nil, make([]byte, size)) })
			synctest.Wait()
		}
		close(g.let)
		wg.Wait()
		if !errors.Is(errs[2], journal.ErrFull) || errs[0] != nil || errs[1] != nil || errs[3] != nil {
			t.Errorf("%v", errs)
		}
		if j.Last() != 3 {
			t.Errorf("%d records", j.Last())
		}
	})
}

// A failed sync fails all that it was for, and nobody else.
func TestFailedSharedSync(t *testing.T) {
	gated(t, journal.Options{}, func(t *testing.T, g *gate, j *journal.Journal) {
		var wg sync.WaitGroup
		var errs [5]error
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = j.Append(t.Context(), func(uint64) {
					if i > 0 && i < 4 {
						t.Errorf("commit of append %d", i)
					}
				}, []byte(fmt.Sprint(i)))
			})
			synctest.Wait()
			if i == 3 {
				g.let <- nil
				synctest.Wait()
			}
		}
		g.let <- errors.New("the disk is ill")
		close(g.let)
		wg.Wait()
		for i, err := range errs {
			if failed := i > 0 && i < 4; failed != errors.Is(err, poolkeeper.ErrUnavailable) {
				t.Errorf("append %d: %v", i, err)
			}
		}
		if got := read(t, j, 0); !slices.Equal(got, []string{"1 0", "2 4"}) {
			t.Errorf("got %q", got)
		}
	})
}
