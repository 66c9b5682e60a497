package snapshot_test

import (
	"path/filepath"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/replica/snapshot"
)

// TestAnotherStore: the last snapshot of a store is kept when another one takes its
// place, and is not lost to an empty one after that.
func TestAnotherStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snapshot")
	before := filepath.Join(dir, "before")
	want := odd()
	write(t, dir, want, nil)
	empty := func(epoch string) *poolkeeper.Snapshot {
		s := poolkeeper.NewSnapshot()
		s.Meta["epoch"] = epoch
		return s
	}
	for _, epoch := range []string{"e2", "e3"} {
		m := write(t, dir, empty(epoch), &snapshot.WriteOptions{KeepFiles: true})
		if m.Epoch != epoch || m.Files != 0 {
			t.Errorf("%s: %+v", epoch, m)
		}
		if got, _ := load(t, dir); len(got.Types) != 0 || len(got.Values) != 0 {
			t.Errorf("%s: loaded %v", epoch, got.Types)
		}
		got, m := load(t, before)
		if len(m.Damage) > 0 || encoded(t, got) != encoded(t, want) {
			t.Errorf("%s: what was kept is not what was there; damage: %v", epoch, m.Damage)
		}
		back := storeOf(t, snapshot.ConfigDir(before))
		if d, ok := snapshotOf(t, back).Values[poolkeeper.FileKey("configs/notes.txt")]; !ok || string(d.Data) != "carried" {
			t.Errorf("%s: the carried file is %q", epoch, d.Data)
		}
	}
	other := odd()
	other.Meta["epoch"] = "e4"
	other.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{"B":1}`)}
	write(t, dir, other, nil)
	write(t, dir, empty("e5"), nil)
	if got, _ := load(t, before); encoded(t, got) != encoded(t, other) {
		t.Error("the later one was not kept")
	}
	modes(t, dir)
}
