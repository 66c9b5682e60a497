package snapshot

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
)

// A filer has the carried files of a store that tests change.
type filer struct {
	mu    sync.Mutex
	text  string // of the one file
	epoch string // of the store
	err   error
}

func (f *filer) files(context.Context) (*poolkeeper.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	s := poolkeeper.NewSnapshot()
	s.Meta["epoch"] = f.epoch
	s.Values[poolkeeper.FileKey("configs/notes.txt")] = poolkeeper.Document{Data: []byte(f.text)}
	return s, nil
}

func (f *filer) set(text, epoch string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text, f.epoch, f.err = text, epoch, err
}

func (h *holder) begin(epoch string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snap.Meta["epoch"] = epoch
}

// TestCarriesFilesOver: where the store became another one, its snapshot has the
// carried files that this one has, at once; those of the last snapshot where they
// cannot be had or are of another store, until they can be; and also where the first
// attempt to write it fails.
func TestCarriesFilesOver(t *testing.T) {
	for name, c := range map[string]struct {
		text, epoch string
		err         error
		full        bool
		first       string
	}{
		"there":            {text: "two", epoch: "e2", first: "two"},
		"away":             {err: poolkeeper.ErrUnavailable, first: "one"},
		"of another store": {text: "odd", epoch: "e3", first: "one"},
		"a full disk":      {err: poolkeeper.ErrUnavailable, full: true, first: "one"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, plan := faultfs.NewMemory(), &faultfs.Plan{Fault: faultfs.Full, On: "write"}
				h, f := newHolder(1, 1), &filer{text: "one", epoch: "e"}
				k := Keep("/DIR", h.take, &KeeperOptions{FS: faultfs.New(disk, plan), Files: f.files})
				defer k.Close()
				is := func(when, epoch, want string) {
					t.Helper()
					synctest.Wait()
					m := k.State().Last
					if m == nil || m.Epoch != epoch || m.Files != 1 || treeIn(t, disk)["configs/notes.txt"] != want {
						t.Errorf("%s: %+v with %q, want %q of %s", when, m, treeIn(t, disk)["configs/notes.txt"], want, epoch)
					}
				}
				is("begin", "e", "one")
				h.begin("e2")
				f.set(c.text, c.epoch, c.err)
				if c.full {
					plan.At = plan.Count() + 1
					if err := k.Write(t.Context()); err == nil {
						t.Error("a full disk is not told of")
					}
					plan.At = 0
				}
				if err := k.Write(t.Context()); err != nil {
					t.Fatal(err)
				}
				is("the other store", "e2", c.first)
				h.count("t0", 0, 1)
				if err := k.Write(t.Context()); err != nil {
					t.Fatal(err)
				}
				is("once more", "e2", c.first)
				f.set("two", "e2", nil)
				time.Sleep(time.Minute)
				is("in the end", "e2", "two")
				if s := k.State(); s.FilesProblem != "" {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestCarriesWholeFilesOver: a carried file that somebody has changed keeps no other
// one from being carried over.
func TestCarriesWholeFilesOver(t *testing.T) {
	disk := faultfs.NewMemory()
	w, err := openAt(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	h := newHolder(1, 1)
	h.put(poolkeeper.FileKey("configs/a.txt"), "a")
	h.put(poolkeeper.FileKey("configs/b.txt"), "b")
	snap, _ := h.take(t.Context())
	if _, err := w.write(t.Context(), snap, false, true); err != nil {
		t.Fatal(err)
	}
	if err := disk.Remove(in("configs/a.txt")); err != nil {
		t.Fatal(err)
	}
	got, err := filesIn(t.Context(), disk, "/DIR")
	if err == nil || errors.Is(err, poolkeeper.ErrNotFound) {
		t.Errorf("the missing one: %v", err)
	}
	if keys := got.KeysOf(poolkeeper.KindFile); len(keys) != 1 || string(got.Values[poolkeeper.FileKey("configs/b.txt")].Data) != "b" {
		t.Errorf("what is whole: %v", keys)
	}
}
