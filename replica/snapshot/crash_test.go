package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
)

// states are snapshots each of which changes, adds and removes something of the one
// before; the last takes back what the second has done.
func states() []*poolkeeper.Snapshot {
	var all []*poolkeeper.Snapshot
	for n := range 3 {
		s := poolkeeper.NewSnapshot()
		s.Meta["epoch"] = "e"
		rev := poolkeeper.Revision{Number: uint64(n + 1), Writer: "w", Seq: 1}
		p := &poolkeeper.Pool{Type: "t", Revision: rev, Structure: rev}
		for i := range 3 {
			id := fmt.Sprintf("p%d", i)
			one := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "t", ID: id},
				Definition: fmt.Appendf(nil, `{"uuid":%q,"KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/%s.json"}`, id, id)}
			one.State.Set(poolkeeper.UsageCount, fmt.Sprint(10*n+i))
			one.State.DecidedAt = int64(n + 1)
			p.Providers = append(p.Providers, one)
			if i == 2 && n == 1 {
				continue // a token that is gone
			}
			ref := one.Ref
			text := fmt.Sprintf(`{"refreshToken":"r%d of %d"}`, i, n%2*(i+1))
			s.Values[poolkeeper.TokenKey(ref)] = poolkeeper.Document{Data: []byte(text), Revision: rev}
			s.Values[poolkeeper.TokenRefKey("configs/kiro/"+id+".json")] = poolkeeper.Document{Data: poolkeeper.EncodeTokenOwner(ref), Revision: rev}
		}
		s.AddPool(p)
		s.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: fmt.Appendf(nil, `{"N":%d}`, n), Revision: rev}
		if n == 1 {
			s.Values[poolkeeper.DocumentKey("plugins.json")] = poolkeeper.Document{Data: []byte(`{}`), Revision: rev}
		} else {
			s.Values[poolkeeper.FileKey("configs/notes.txt")] = poolkeeper.Document{Data: []byte("carried"), Revision: rev}
		}
		all = append(all, s)
	}
	return all
}

func encodedOf(t *testing.T, snap *poolkeeper.Snapshot) string {
	t.Helper()
	var b bytes.Buffer
	if err := poolkeeper.EncodeSnapshot(&b, withoutFiles(snap)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// treeOf is what gateway/ is to hold.
func treeOf(t *testing.T, snap *poolkeeper.Snapshot) map[string]string {
	t.Helper()
	files, _, err := configdir.Files(snap, ConfigDir("/DIR"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	tree := map[string]string{}
	for p, f := range files {
		tree[p] = string(f.Data)
	}
	return tree
}

// treeIn is what it holds, but for what is transient.
func treeIn(t *testing.T, disk *faultfs.Memory) map[string]string {
	t.Helper()
	tree := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := disk.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			switch {
			case e.IsDir():
				walk(name)
			case !vfs.IsTemp(e.Name()):
				data, err := vfs.ReadFile(disk, name, math.MaxInt64-1)
				if err != nil {
					t.Fatal(err)
				}
				tree[strings.TrimPrefix(name, treeDir+"/")] = string(data)
			}
		}
	}
	walk(treeDir)
	return tree
}

// temps are the names of what is there under a temporary one.
func temps(t *testing.T, disk *faultfs.Memory, dir string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	entries, err := disk.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if vfs.IsTemp(e.Name()) {
			found[name] = true
		}
		if e.IsDir() {
			maps.Copy(found, temps(t, disk, name))
		}
	}
	return found
}

func openAt(t *testing.T, fsys vfs.FS) (*writer, error) {
	t.Helper()
	return openWriter("/DIR", &WriteOptions{FS: fsys, Logger: slog.New(slog.DiscardHandler)})
}

// mustBe checks that the directory is one snapshot, and no other.
func mustBe(t *testing.T, disk *faultfs.Memory, snap *poolkeeper.Snapshot) {
	t.Helper()
	got, m, err := load(context.Background(), disk, "/DIR")
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if len(m.Damage) > 0 {
		t.Errorf("damage: %v", m.Damage)
	}
	if encodedOf(t, got) != encodedOf(t, snap) {
		t.Error("another snapshot was loaded")
	}
	if tree, want := treeIn(t, disk), treeOf(t, snap); !maps.Equal(tree, want) {
		t.Errorf("gateway/ has %v, want %v", slices.Sorted(maps.Keys(tree)), slices.Sorted(maps.Keys(want)))
	}
}

// TestFaultAtEachCall: a write of which a call of the file system fails, tears, or is
// the last one leaves the old snapshot or the new one, each file old or new, and
// nothing that the next write takes for another program's.
func TestFaultAtEachCall(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	all := states()
	for name, fault := range map[string]faultfs.Fault{"fail": faultfs.Fail, "full": faultfs.Full, "tear": faultfs.Tear, "kill": faultfs.Kill} {
		t.Run(name, func(t *testing.T) {
			for _, kept := range []string{"none", "names", "all"} {
				for at := 1; ; at++ {
					calls := crashAt(t, rnd, all, fault, kept, at)
					if t.Failed() {
						t.Fatalf("at call %d of %d; %s were kept", at, calls, kept)
					}
					if calls < at {
						break
					}
				}
			}
		})
	}
}

func crashAt(t *testing.T, rnd *rand.Rand, all []*poolkeeper.Snapshot, fault faultfs.Fault, kept string, at int) (calls int) {
	t.Helper()
	disk := faultfs.NewMemory()
	first, err := openAt(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.write(context.Background(), all[0], false, true); err != nil {
		t.Fatal(err)
	}
	mustBe(t, disk, all[0])

	plan := &faultfs.Plan{Fault: fault, At: at, Die: func() {}}
	w, err := openAt(t, faultfs.New(disk, plan))
	if err != nil {
		t.Fatal(err)
	}
	_, failed := w.write(context.Background(), all[1], false, true)
	if failed == nil && plan.Count() >= at && plan.Calls()[at-1] != "remove "+writingFile && !strings.HasPrefix(plan.Calls()[at-1], "remove "+statePrefix) &&
		!strings.HasPrefix(plan.Calls()[at-1], "remove "+filesPrefix) {
		t.Errorf("it failed at %s, and nothing was said", plan.Calls()[at-1])
	}
	calls = plan.Count()
	plan.At = 0
	if kept != "all" {
		if kept == "names" {
			disk.KeepName = func(string) bool { return rnd.IntN(2) == 0 }
		}
		disk.CutPower(nil)
		disk.KeepName = nil
	}

	got, m, err := load(context.Background(), disk, "/DIR")
	if err != nil {
		t.Errorf("load: %v", err)
		return calls
	}
	if text := encodedOf(t, got); len(m.Damage) > 0 || text != encodedOf(t, all[0]) && text != encodedOf(t, all[1]) {
		t.Errorf("what was loaded is neither the old snapshot nor the new one; damage: %v", m.Damage)
	} else if failed == nil && text != encodedOf(t, all[1]) {
		t.Error("the write has succeeded, and the old snapshot was loaded")
	}
	tree, before, after := treeIn(t, disk), treeOf(t, all[0]), treeOf(t, all[1])
	for p, data := range tree {
		if old, ok := before[p]; !ok || data != old {
			if now, ok := after[p]; !ok || data != now {
				t.Errorf("%s is neither the old file nor the new one", p)
			}
		}
	}
	for p := range after {
		if _, ok := tree[p]; !ok && before[p] != "" {
			t.Errorf("%s is gone", p)
		}
	}

	// The same process goes on, where it can; otherwise another one.
	if fault == faultfs.Tear || fault == faultfs.Kill || kept != "all" {
		if w, err = openAt(t, disk); err != nil {
			t.Fatal(err)
		}
	}
	for _, next := range []*poolkeeper.Snapshot{all[2], all[1]} {
		if _, err := w.write(context.Background(), next, false, false); err != nil {
			t.Errorf("the next write: %v", err)
			return calls
		}
		mustBe(t, disk, next)
	}
	for name := range temps(t, disk, ".") {
		if kept != "all" || fault == faultfs.Tear || fault == faultfs.Kill {
			t.Errorf("%s is left", name)
		}
	}
	edited := w.counts.Edited
	if w, err = openAt(t, disk); err != nil {
		t.Fatal(err)
	}
	if news, err := w.write(context.Background(), all[1], false, true); news || err != nil {
		t.Errorf("another process finds something new: %v", err)
	}
	if edited += w.counts.Edited; edited > 0 {
		t.Errorf("%d files are taken for another program's", edited)
	}
	return calls
}

// quick is a real directory of which nothing is synced, for processes that are killed
// while the power stays on.
type quick struct{ vfs.FS }

func (q quick) SyncDir(string) error         { return nil }
func (q quick) SyncAll() (vfs.Syncer, error) { return nil, errors.ErrUnsupported }

func (q quick) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := q.FS.OpenFile(name, flag, perm)
	return quickFile{f}, err
}

type quickFile struct{ vfs.File }

func (quickFile) Sync() error { return nil }

func quickly(t *testing.T, dir string) vfs.FS {
	t.Helper()
	fsys, err := vfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return quick{fsys}
}

// TestFirstWriteCutOff: as long as there was no snapshot, one that was cut off is
// none, or is reported.
func TestFirstWriteCutOff(t *testing.T) {
	all := states()
	for at := 1; ; at++ {
		dir := t.TempDir()
		plan := &faultfs.Plan{Fault: faultfs.Kill, At: at, Die: func() {}}
		w, err := openWriter(dir, &WriteOptions{FS: faultfs.New(quickly(t, dir), plan)})
		if err != nil {
			t.Fatal(err)
		}
		_, failed := w.write(context.Background(), all[0], false, true)
		w.close()
		got, m, err := Load(context.Background(), dir)
		switch {
		case failed == nil && (err != nil || len(m.Damage) > 0):
			t.Errorf("it was written, and loaded with %v", err)
		case failed != nil && err == nil && len(m.Damage) == 0 && encodedOf(t, got) != encodedOf(t, all[0]):
			t.Errorf("call %d: half a snapshot was loaded, and nothing is said of it", at)
		case failed != nil && err == nil && len(got.Types) == 0:
			t.Errorf("call %d: an empty snapshot was loaded", at)
		}
		if plan.Count() < at {
			break
		}
	}
}

// TestSectionsAreDurableFirst: where of all names only that of the manifest reaches
// the disk, what it names is there.
func TestSectionsAreDurableFirst(t *testing.T) {
	all := states()
	disk := faultfs.NewMemory()
	count := &faultfs.Plan{}
	run := func(disk *faultfs.Memory, plan *faultfs.Plan) {
		w, err := openAt(t, disk)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.write(context.Background(), all[0], false, true); err != nil {
			t.Fatal(err)
		}
		if w, err = openAt(t, faultfs.New(disk, plan)); err != nil {
			t.Fatal(err)
		}
		w.write(context.Background(), all[1], false, true)
	}
	run(disk, count)
	at := slices.Index(count.Calls(), "rename "+manifestFile)
	if at < 0 {
		t.Fatalf("no manifest among %v", count.Calls())
	}
	disk = faultfs.NewMemory()
	run(disk, &faultfs.Plan{Fault: faultfs.Kill, At: at + 2, Die: func() {}})
	disk.KeepName = func(name string) bool { return name == manifestFile }
	disk.CutPower(nil)
	mustBe(t, disk, all[1])
}

// TestRemovalsAreDurableFirst: what is removed is so on the disk, before a manifest
// says that it is.
func TestRemovalsAreDurableFirst(t *testing.T) {
	all := states()
	plan := &faultfs.Plan{}
	w, err := openAt(t, faultfs.New(faultfs.NewMemory(), plan))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all[:2] {
		if _, err := w.write(context.Background(), s, false, true); err != nil {
			t.Fatal(err)
		}
	}
	calls := plan.Calls()
	calls = calls[slices.Index(calls, "rename "+manifestFile)+1:] // of the second write
	removed := slices.Index(calls, "remove "+in("configs/notes.txt"))
	if removed < 0 {
		t.Fatalf("nothing was removed: %v", calls)
	}
	synced := slices.Index(calls[removed:], "syncdir "+in("configs"))
	if recorded := slices.Index(calls[removed:], "rename "+manifestFile); synced < 0 || synced > recorded {
		t.Errorf("the directory is not synced between %v", calls[removed:])
	}
}

// TestAnotherStoreCutOff: wherever the first write of another store is cut off, what
// there was of the one before can be had, and is whole under before/ after the next.
func TestAnotherStoreCutOff(t *testing.T) {
	ctx := context.Background()
	old, other := states()[0], states()[1]
	other.Meta["epoch"] = "e2"
	for at := 1; ; at++ {
		dir := t.TempDir()
		if _, err := Write(ctx, dir, old, &WriteOptions{FS: quickly(t, dir)}); err != nil {
			t.Fatal(err)
		}
		plan := &faultfs.Plan{Fault: faultfs.Kill, At: at, Die: func() {}}
		w, err := openWriter(dir, &WriteOptions{FS: faultfs.New(quickly(t, dir), plan)})
		if err != nil {
			t.Fatal(err)
		}
		_, failed := w.write(ctx, other, false, true)
		w.close()
		had := false
		for _, d := range []string{dir, path.Join(dir, beforeDir)} {
			if got, _, err := Load(ctx, d); err == nil && len(got.Types) == 1 && len(got.Pools["t"].Providers) == 3 &&
				got.Provider(poolkeeper.Ref{Type: "t", ID: "p2"}).Count(poolkeeper.UsageCount) == 2 {
				had = true
			}
		}
		if !had {
			t.Errorf("call %d: nothing has the old state", at)
		}
		if _, err := Write(ctx, dir, other, &WriteOptions{FS: quickly(t, dir)}); err != nil {
			t.Fatal(err)
		}
		got, m, err := Load(ctx, dir)
		if err != nil || len(m.Damage) > 0 || encodedOf(t, got) != encodedOf(t, other) {
			t.Errorf("call %d: %v, %+v", at, err, m)
		}
		got, m, err = Load(ctx, path.Join(dir, beforeDir))
		if err != nil || len(m.Damage) > 0 || encodedOf(t, got) != encodedOf(t, old) {
			t.Errorf("call %d: before: %v, %+v", at, err, m)
		}
		if back, _, err := configdir.ReadDir(ctx, ConfigDir(path.Join(dir, beforeDir)), nil); err != nil || len(back.Pools["t"].Providers) != 3 {
			t.Errorf("call %d: the directory before: %v", at, err)
		}
		if t.Failed() {
			t.Fatalf("after %v", failed)
		}
		if plan.Count() < at {
			break
		}
	}
}
