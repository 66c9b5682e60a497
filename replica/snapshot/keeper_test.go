package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A holder has a state that tests change.
type holder struct {
	mu    sync.Mutex
	snap  *poolkeeper.Snapshot
	err   error
	taken int
}

func newHolder(pools, providers int) *holder {
	h := &holder{snap: poolkeeper.NewSnapshot()}
	h.snap.Meta["epoch"] = "e"
	for i := range pools {
		p := &poolkeeper.Pool{Type: fmt.Sprintf("t%d", i)}
		for j := range providers {
			id := fmt.Sprintf("p%d", j)
			p.Providers = append(p.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: p.Type, ID: id}, Definition: fmt.Appendf(nil, `{"uuid":%q}`, id)})
		}
		h.snap.AddPool(p)
	}
	return h
}

// take returns a snapshot as a replica makes it: of its own, but for the bytes.
func (h *holder) take(context.Context) (*poolkeeper.Snapshot, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken++
	if h.err != nil {
		return nil, h.err
	}
	s := poolkeeper.NewSnapshot()
	s.Meta["epoch"] = h.snap.Meta["epoch"]
	for _, typ := range h.snap.Types {
		p := *h.snap.Pools[typ]
		p.Providers = append([]poolkeeper.Provider(nil), p.Providers...)
		s.AddPool(&p)
	}
	for k, d := range h.snap.Values {
		s.Values[k] = d
	}
	return s, nil
}

func (h *holder) count(typ string, i int, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snap.Pools[typ].Providers[i].State.Set(poolkeeper.UsageCount, fmt.Sprint(n))
}

func (h *holder) put(k poolkeeper.Key, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snap.Values[k] = poolkeeper.Document{Data: []byte(text)}
}

func (h *holder) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

// onDisk is the count that the snapshot on the disk has of a provider.
func onDisk(t *testing.T, disk vfs.FS, typ string, i int) int64 {
	t.Helper()
	snap, m, err := load(context.Background(), disk, "/DIR")
	if err != nil || len(m.Damage) > 0 {
		t.Fatalf("load: %v, %+v", err, m)
	}
	return snap.Pools[typ].Providers[i].Count(poolkeeper.UsageCount)
}

// TestPace: the first snapshot comes at once, others after Every where something has
// changed; at once when it becomes continuous, and then after each change, bounded by
// Lag; and a last one when it is closed.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultfs.NewMemory()
		h := newHolder(1, 2)
		k := Keep("/DIR", h.take, &KeeperOptions{FS: disk})
		key := poolkeeper.PoolKey("t0")
		change := func(n int64) { h.count("t0", 0, n); k.Changed(key) }
		is := func(what string, want int64, writes uint64) {
			t.Helper()
			synctest.Wait()
			if got, s := onDisk(t, disk, "t0", 0), k.State(); got != want || s.Written != writes {
				t.Errorf("%s: %d on the disk after %d writes, want %d after %d", what, got, s.Written, want, writes)
			}
		}
		is("begin", 0, 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		if h.taken != 1 {
			t.Errorf("nothing has changed, and the state was taken %d times", h.taken)
		}
		change(1)
		is("idle until then", 1, 2)
		change(2)
		time.Sleep(29 * time.Second)
		is("too early", 1, 2)
		if s := k.State(); !s.Behind {
			t.Error("it is behind, and does not say so")
		}
		time.Sleep(time.Second)
		is("after Every", 2, 3)
		change(3)
		k.Continuous(true)
		is("at once", 3, 4)
		before := k.State().Written
		for n := range int64(100) {
			change(10 + n)
			time.Sleep(100 * time.Millisecond)
		}
		if n := k.State().Written - before; n < 9 || n > 11 {
			t.Errorf("%d writes in 10 s of steady load", n)
		}
		time.Sleep(time.Second)
		is("after Lag", 109, k.State().Written)
		taken := h.taken
		time.Sleep(time.Hour)
		if h.taken != taken {
			t.Error("nothing has changed, and the state was taken")
		}
		k.Continuous(false)
		change(200)
		time.Sleep(time.Second)
		change(201)
		before = k.State().Written
		time.Sleep(20 * time.Second)
		is("not continuous any more", 200, before)
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		is("close", 201, before+1)
		if err := k.Write(context.Background()); !errors.Is(err, poolkeeper.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if err := k.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
	})
}

// TestOnlyWhatHasChangedIsWritten counts what is encoded and written.
func TestOnlyWhatHasChangedIsWritten(t *testing.T) {
	h := newHolder(3, 2*poolPart)
	h.snap.Types = append(h.snap.Types, "empty")
	h.snap.Pools["empty"] = &poolkeeper.Pool{Type: "empty"}
	for i := range 100 {
		h.put(poolkeeper.DocumentKey(fmt.Sprintf("d%d.json", i)), `{}`)
	}
	disk := faultfs.NewMemory()
	w, err := openAt(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	counted := func(change func(), all bool) Counts {
		t.Helper()
		if change != nil {
			change()
		}
		snap, _ := h.take(context.Background())
		before := w.counts
		if _, err := w.write(context.Background(), snap, false, all); err != nil {
			t.Fatal(err)
		}
		return Counts{Encoded: w.counts.Encoded - before.Encoded, Sections: w.counts.Sections - before.Sections, Files: w.counts.Files - before.Files, Removed: w.counts.Removed - before.Removed}
	}
	// Of each: the section of the facts is always made.
	if got, want := counted(nil, true), (Counts{Encoded: 1 + 6 + 16, Sections: 1 + 6 + 16 + 16, Files: 101}); got != want {
		t.Errorf("the first: %+v, want %+v", got, want)
	}
	if got, want := counted(nil, true), (Counts{Encoded: 1}); got != want {
		t.Errorf("nothing has changed: %+v, want %+v", got, want)
	}
	if got, want := counted(func() { h.count("t1", poolPart+1, 5) }, false), (Counts{Encoded: 2, Sections: 2, Files: 1}); got != want {
		t.Errorf("a count: %+v, want %+v", got, want)
	}
	if got, want := counted(func() { h.put(poolkeeper.DocumentKey("d7.json"), `{"a":1}`) }, false), (Counts{Encoded: 2, Sections: 2, Files: 1}); got != want {
		t.Errorf("a document: %+v, want %+v", got, want)
	}
	if got, want := counted(func() { delete(h.snap.Values, poolkeeper.DocumentKey("d7.json")) }, false), (Counts{Encoded: 2, Sections: 2, Removed: 1}); got != want {
		t.Errorf("a document that is gone: %+v, want %+v", got, want)
	}
	// Another process writes what has changed, too.
	again, err := openAt(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	w = again
	if got, want := counted(func() { h.count("t2", 0, 5) }, true), (Counts{Encoded: 1 + 6 + 16, Sections: 2, Files: 1}); got != want {
		t.Errorf("another process: %+v, want %+v", got, want)
	}
}

// TestTrouble: a disk that is full or fails is told once, counted and shown, tried
// again, and told to be over; and so is a state that cannot be taken.
func TestTrouble(t *testing.T) {
	for name, on := range map[string]string{"full": "write", "fsync": "sync", "directory": "syncdir", "state": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := faultfs.NewMemory()
				plan := &faultfs.Plan{Fault: faultfs.Full, On: on}
				if on != "write" {
					plan.Fault = faultfs.Fail
				}
				h := newHolder(1, 1)
				var log bytes.Buffer
				k := Keep("/DIR", h.take, &KeeperOptions{FS: faultfs.New(disk, plan), Logger: slog.New(slog.NewTextHandler(&log, nil))})
				defer k.Close()
				synctest.Wait()
				if onDisk(t, disk, "t0", 0); log.Len() > 0 {
					t.Errorf("the log says:\n%s", &log)
				}
				if on == "" {
					h.fail(poolkeeper.Errorf(poolkeeper.ErrUnavailable, "there is no copy"))
				} else {
					plan.At = plan.Count() + 1
				}
				h.count("t0", 0, 1)
				k.Changed(poolkeeper.PoolKey("t0"))
				k.Continuous(true)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				s := k.State()
				if s.Problem == "" || s.Failed < 10 || s.Failed > 40 || s.Since.IsZero() || !s.Behind || s.Written != 1 || s.Last == nil {
					t.Errorf("while it fails: %+v", s)
				}
				if n := strings.Count(log.String(), "no snapshot can be written"); n != 1 || strings.Count(log.String(), "\n") != 1 {
					t.Errorf("the log says:\n%s", &log)
				}
				if n := onDisk(t, disk, "t0", 0); n != 0 {
					t.Errorf("%d on the disk", n)
				}
				plan.At = 0
				h.fail(nil)
				time.Sleep(time.Minute)
				synctest.Wait()
				if s := k.State(); s.Problem != "" || s.Behind || s.Written != 2 {
					t.Errorf("when it is over: %+v", s)
				}
				if n := onDisk(t, disk, "t0", 0); n != 1 {
					t.Errorf("%d on the disk", n)
				}
				if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "written again") {
					t.Errorf("the log says:\n%s", &log)
				}
			})
		})
	}
}

// TestKeepsCarriedFiles: carried files are asked for when they may have changed, and
// stay where they cannot be had.
func TestKeepsCarriedFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultfs.NewMemory()
		h := newHolder(1, 1)
		var mu sync.Mutex
		asked, text, away := 0, "one", error(nil)
		files := func(context.Context) (*poolkeeper.Snapshot, error) {
			mu.Lock()
			defer mu.Unlock()
			if asked++; away != nil {
				return nil, away
			}
			s := poolkeeper.NewSnapshot()
			s.Values[poolkeeper.FileKey("configs/notes.txt")] = poolkeeper.Document{Data: []byte(text)}
			return s, nil
		}
		set := func(s string, err error) {
			mu.Lock()
			defer mu.Unlock()
			text, away = s, err
		}
		k := Keep("/DIR", h.take, &KeeperOptions{FS: disk, Files: files})
		defer k.Close()
		is := func(want string, times int) {
			t.Helper()
			synctest.Wait()
			if got := treeIn(t, disk)["configs/notes.txt"]; got != want || asked != times {
				t.Errorf("the file is %q, and was asked for %d times; want %q, %d", got, asked, want, times)
			}
		}
		is("one", 1)
		time.Sleep(time.Minute)
		h.count("t0", 0, 1)
		k.Changed(poolkeeper.PoolKey("t0"))
		is("one", 1)
		time.Sleep(time.Minute)
		set("two", nil)
		k.Changed(poolkeeper.FileKey("configs/notes.txt"))
		is("two", 2)
		set("three", poolkeeper.ErrUnavailable)
		k.Changed(poolkeeper.Key{Kind: poolkeeper.KindFile})
		time.Sleep(31 * time.Second)
		is("two", 3)
		k.Continuous(true)
		for n := range int64(10) {
			h.count("t0", 0, n)
			k.Changed(poolkeeper.PoolKey("t0"))
			time.Sleep(time.Second)
		}
		is("two", 3)
		if s := k.State(); s.FilesProblem == "" || s.Problem != "" {
			t.Errorf("%+v", s)
		}
		set("three", nil)
		time.Sleep(time.Minute)
		is("three", 4)
		if s := k.State(); s.FilesProblem != "" {
			t.Errorf("%+v", s)
		}
	})
}

// TestOneWriteAtATime: however many ask for one.
func TestOneWriteAtATime(t *testing.T) {
	h := newHolder(1, 1)
	var inside atomic.Int32
	take := func(ctx context.Context) (*poolkeeper.Snapshot, error) {
		if inside.Add(1) > 1 {
			t.Error("two at a time")
		}
		defer inside.Add(-1)
		return h.take(ctx)
	}
	k := Keep(t.TempDir(), take, nil)
	k.Continuous(true)
	var wg sync.WaitGroup
	for n := range int64(8) {
		wg.Go(func() {
			h.count("t0", 0, n)
			k.Changed(poolkeeper.PoolKey("t0"))
			if err := k.Write(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}

// TestFollowsAWatcher: what a store tells is written.
func TestFollowsAWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultfs.NewMemory()
		b := memstore.New(nil)
		if err := b.Restore(t.Context(), poolkeeper.NewSnapshot()); err != nil {
			t.Fatal(err)
		}
		st := poolkeeper.New(b, nil)
		defer st.Close()
		k := Keep("/DIR", st.Snapshot, &KeeperOptions{FS: disk, Watcher: b})
		defer k.Close()
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, err := st.PutConfig(t.Context(), []byte(`{"A":1}`), poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if got := treeIn(t, disk)["configs/config.json"]; got != `{"A":1}` {
			t.Errorf("config.json is %q", got)
		}
	})
}

// TestShown: a gateway gets what waits for the store as well, and Load does not; both
// have the carried files.
func TestShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultfs.NewMemory()
		base, shown := newHolder(1, 1), newHolder(1, 1)
		base.count("t0", 0, 1)
		shown.count("t0", 0, 5)
		shown.put(poolkeeper.ConfigKey, `{"queued":1}`)
		files := func(context.Context) (*poolkeeper.Snapshot, error) {
			s := poolkeeper.NewSnapshot()
			s.Values[poolkeeper.FileKey("configs/notes.txt")] = poolkeeper.Document{Data: []byte("carried")}
			return s, nil
		}
		k := Keep("/DIR", base.take, &KeeperOptions{FS: disk, Shown: shown.take, Files: files})
		defer k.Close()
		check := func(want int64) {
			t.Helper()
			synctest.Wait()
			if n := onDisk(t, disk, "t0", 0); n != 1 {
				t.Errorf("%d is loaded, want 1", n)
			}
			tree := treeIn(t, disk)
			if !strings.Contains(tree["configs/provider_pools.json"], fmt.Sprintf(`"usageCount": %d`, want)) || tree["configs/config.json"] != `{"queued":1}` || tree["configs/notes.txt"] != "carried" {
				t.Errorf("a gateway gets %v, want %d", tree, want)
			}
		}
		check(5)
		// Of the state nothing changes.
		shown.count("t0", 0, 6)
		k.Changed(poolkeeper.PoolKey("t0"))
		k.Continuous(true)
		check(6)
	})
}
