package faultfs

import (
	"os"
	"slices"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

func create(t *testing.T, fsys vfs.FS, name, data string, sync bool) vfs.File {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.Write([]byte(data))
	}
	if err == nil && sync {
		err = f.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func names(t *testing.T, m *Memory) (all []string) {
	t.Helper()
	entries, err := m.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// A power cut loses bytes and names that were not synced, or that part of the
// names that is not kept; a killed process loses neither.
func TestPowerCut(t *testing.T) {
	start := func() *Memory {
		m := NewMemory()
		for _, name := range []string{"stays", "goes", "moves"} {
			create(t, m, name, "old", true)
		}
		m.SyncDir(".")
		f := create(t, m, "stays", "new", false)
		create(t, m, "comes", "x", true)
		m.Remove("goes")
		m.Rename("moves", "moved")
		t.Cleanup(func() {
			if _, err := f.Write(nil); err == nil {
				t.Error("a file is in use after its process has died")
			}
		})
		return m
	}
	for name, c := range map[string]struct {
		die   func(m *Memory)
		names []string
		bytes string
	}{
		"power":    {func(m *Memory) { m.CutPower(nil) }, []string{"goes", "moves", "stays"}, "old"},
		"one name": {func(m *Memory) { m.KeepName = func(n string) bool { return n == "moved" }; m.CutPower(nil) }, []string{"goes", "moved", "stays"}, "old"},
		"all": {func(m *Memory) {
			m.KeepName = func(string) bool { return true }
			m.CutPower(func(_ string, _, written []byte) []byte { return written })
		}, []string{"comes", "moved", "stays"}, "new"},
		"kill": {(*Memory).Kill, []string{"comes", "moved", "stays"}, "new"},
	} {
		m := start()
		c.die(m)
		b, err := vfs.ReadFile(m, "stays", 10)
		if got := names(t, m); !slices.Equal(got, c.names) || string(b) != c.bytes || err != nil {
			t.Errorf("%s: %q, %q, %v; want %q, %q", name, got, b, err, c.names, c.bytes)
		}
	}
}

// A plan counts calls that change something, and makes the one that it names go
// wrong in its way.
func TestPlan(t *testing.T) {
	for _, fault := range []Fault{Fail, Full, Kill, Tear} {
		m, plan := NewMemory(), &Plan{At: 2, Fault: fault, Die: func() {}}
		fsys := New(m, plan)
		f, err := fsys.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		n, err := f.Write([]byte("1234"))
		half := fault == Full || fault == Tear
		b, _ := vfs.ReadFile(m, "f", 10)
		if err == nil || (n == 2) != half || (string(b) == "12") != half {
			t.Errorf("fault %v: %d bytes, %v; there is %q", fault, n, err, b)
		}
		_, err = f.Write([]byte("5"))
		if dead := fault == Kill || fault == Tear; dead != (err != nil) {
			t.Errorf("fault %v: the next call: %v", fault, err)
		}
		if got := plan.Calls()[:2]; !slices.Equal(got, []string{"create f", "write f"}) {
			t.Errorf("calls %q", got)
		}
	}
}
