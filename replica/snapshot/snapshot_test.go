package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/replica/snapshot"
	"github.com/poolkeeper/poolkeeper/transfer"
)

var ctx = context.Background()

// storeOf imports a directory.
func storeOf(t *testing.T, dir string) *poolkeeper.Store {
	t.Helper()
	st := poolkeeper.New(memstore.New(nil), nil)
	t.Cleanup(func() { st.Close() })
	if _, err := transfer.Import(ctx, st, dir, nil); err != nil {
		t.Fatalf("Import: %v", err)
	}
	return st
}

func snapshotOf(t *testing.T, st *poolkeeper.Store) *poolkeeper.Snapshot {
	t.Helper()
	snap, err := st.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func write(t *testing.T, dir string, snap *poolkeeper.Snapshot, opts *snapshot.WriteOptions) *snapshot.Manifest {
	t.Helper()
	m, err := snapshot.Write(ctx, dir, snap, opts)
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	return m
}

func load(t *testing.T, dir string) (*poolkeeper.Snapshot, *snapshot.Manifest) {
	t.Helper()
	snap, m, err := snapshot.Load(ctx, dir)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return snap, m
}

// encoded is all that a snapshot says, but for the carried files, which Load leaves.
func encoded(t *testing.T, snap *poolkeeper.Snapshot) string {
	t.Helper()
	bare := *snap
	bare.Values = maps.Clone(snap.Values)
	maps.DeleteFunc(bare.Values, func(k poolkeeper.Key, _ poolkeeper.Document) bool { return k.Kind == poolkeeper.KindFile })
	var b bytes.Buffer
	if err := poolkeeper.EncodeSnapshot(&b, &bare); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFixtures: what was written is loaded to the byte; a gateway that is started on
// the directory finds every credential; and an import of it has the same content.
func TestFixtures(t *testing.T) {
	for _, name := range dirtest.RoundTrips {
		t.Run(name, func(t *testing.T) {
			st := storeOf(t, filepath.Join("..", dirtest.Configs(name)))
			want := snapshotOf(t, st)
			dir := filepath.Join(t.TempDir(), "snapshot")
			written := write(t, dir, want, nil)
			got, m := load(t, dir)
			if len(m.Damage) > 0 {
				t.Errorf("damaged: %v", m.Damage)
			}
			if d := cmp.Diff(encoded(t, want), encoded(t, got)); d != "" {
				t.Errorf("what was loaded differs (-written +loaded):\n%s", d)
			}
			if d := cmp.Diff(written, m); d != "" {
				t.Errorf("the manifest differs:\n%s", d)
			}
			gateway := filepath.Dir(snapshot.ConfigDir(dir))
			export := filepath.Join(t.TempDir(), "configs")
			if _, err := configdir.WriteDir(ctx, export, want, nil); err != nil {
				t.Fatal(err)
			}
			wantFound, _ := dirtest.Gateway(t, filepath.Dir(export))
			found, _ := dirtest.Gateway(t, gateway)
			if d := cmp.Diff(wantFound, found); d != "" {
				t.Errorf("a gateway finds other credentials than in an export:\n%s", d)
			}
			if _, err := transfer.Verify(ctx, st, snapshot.ConfigDir(dir), nil); err != nil {
				t.Errorf("the directory differs from the store: %v", err)
			}
			back := storeOf(t, snapshot.ConfigDir(dir))
			if _, err := transfer.Verify(ctx, back, export, nil); err != nil {
				t.Errorf("what was imported from it differs: %v", err)
			}
			modes(t, dir)
		})
	}
}

// modes checks that nobody else can read anything in a directory.
func modes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", p, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// odd is a snapshot with what no file of a gateway can say.
func odd() *poolkeeper.Snapshot {
	s := poolkeeper.NewSnapshot()
	s.Meta["epoch"] = "e1"
	rev := func(n uint64) poolkeeper.Revision { return poolkeeper.Revision{Number: n, Writer: "w", Seq: n} }
	p := &poolkeeper.Pool{Type: "claude-kiro-oauth", Revision: rev(7), Structure: rev(3)}
	for _, id := range []string{"a", "b"} {
		one := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: p.Type, ID: id}, Definition: []byte(`{"uuid":"` + id + `","usageCount":3}`)}
		one.State.Set(poolkeeper.UsageCount, "12")
		one.State.Set(poolkeeper.IsHealthy, "false")
		one.State.Set(poolkeeper.LastUsed, poolkeeper.Absent)
		one.State.DecidedAt = 1_700_000_000_123
		p.Providers = append(p.Providers, one)
	}
	s.AddPool(p)
	s.AddPool(&poolkeeper.Pool{Type: "empty", Revision: rev(1), Structure: rev(1)})
	s.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{"A":1}`), Revision: rev(4)}
	s.Values[poolkeeper.PasswordKey] = poolkeeper.Document{Data: []byte("secret"), Revision: rev(5)}
	s.Values[poolkeeper.DocumentKey("plugins.json")] = poolkeeper.Document{Data: []byte(`{}`), Revision: rev(6)}
	s.Values[poolkeeper.FileKey("configs/notes.txt")] = poolkeeper.Document{Data: []byte("carried"), Revision: rev(8)}
	s.Values[poolkeeper.FileKey("configs/empty.txt")] = poolkeeper.Document{Data: []byte{}, Revision: rev(8)}
	s.Values[poolkeeper.TokenKey(poolkeeper.Ref{Type: p.Type, ID: "a"})] = poolkeeper.Document{Data: []byte(`{"refreshToken":"r1"}`), Revision: rev(9)}
	s.Aliases[poolkeeper.Ref{Type: p.Type, ID: "was"}] = "a"
	return s
}

// TestWholeState: runtime state, revisions, the epoch and old ids are loaded as they
// were.
func TestWholeState(t *testing.T) {
	dir := t.TempDir()
	want := odd()
	write(t, dir, want, nil)
	got, m := load(t, dir)
	if d := cmp.Diff(encoded(t, want), encoded(t, got)); d != "" {
		t.Errorf("(-written +loaded):\n%s", d)
	}
	if p := got.Pools["claude-kiro-oauth"]; p.Providers[1].State.DecidedAt != 1_700_000_000_123 || p.Revision.Number != 7 || p.Structure.Number != 3 {
		t.Errorf("loaded %+v", p)
	}
	if m.Epoch != "e1" || m.Providers != 2 || m.Tokens != 1 || m.Documents != 1 || m.Files != 2 {
		t.Errorf("manifest: %+v", m)
	}
	if !slices.Equal(got.Types, want.Types) {
		t.Errorf("types %v", got.Types)
	}
}

func readFile(t *testing.T, dir, p string) (string, bool) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(snapshot.ConfigDir(dir), "..", filepath.FromSlash(p)))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data), err == nil
}

// TestCarriedFilesStay: while the store cannot be asked for the carried files, those
// of the last snapshot stay.
func TestCarriedFilesStay(t *testing.T) {
	dir := t.TempDir()
	snap := odd()
	write(t, dir, snap, nil)
	maps.DeleteFunc(snap.Values, func(k poolkeeper.Key, _ poolkeeper.Document) bool { return k.Kind == poolkeeper.KindFile })
	for range 2 {
		snap.Pools["claude-kiro-oauth"].Providers[0].State.Set(poolkeeper.UsageCount, "13")
		m := write(t, dir, snap, &snapshot.WriteOptions{KeepFiles: true})
		if data, ok := readFile(t, dir, "configs/notes.txt"); !ok || data != "carried" || m.Files != 2 {
			t.Errorf("the carried file is %q, %v; %d files", data, ok, m.Files)
		}
	}
	m := write(t, dir, snap, nil)
	if _, ok := readFile(t, dir, "configs/notes.txt"); ok || m.Files != 0 {
		t.Error("a file that is gone stays")
	}
}

// TestGone: what the snapshot does not have any more is removed, and only that.
func TestGone(t *testing.T) {
	dir := t.TempDir()
	snap := odd()
	write(t, dir, snap, nil)
	ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "a"}
	at := tokenPath(t, dir)
	other := filepath.Join(snapshot.ConfigDir(dir), "other.txt")
	if err := os.WriteFile(other, []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	delete(snap.Values, poolkeeper.TokenKey(ref))
	delete(snap.Values, poolkeeper.DocumentKey("plugins.json"))
	write(t, dir, snap, nil)
	for _, p := range []string{at, "configs/plugins.json"} {
		if _, ok := readFile(t, dir, p); ok {
			t.Errorf("%s is still there", p)
		}
	}
	if _, err := os.Stat(filepath.Join(snapshot.ConfigDir(dir), "..", filepath.Dir(filepath.FromSlash(at)))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of the token is still there: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a file of somebody else: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := write(t, dir, snap, nil)
	named := map[string]bool{"gateway": true, "manifest.json": true, m.Common: true}
	for _, p := range m.Pools {
		for _, s := range p.Sections {
			named[s] = true
		}
	}
	for _, s := range slices.Concat(m.Values, m.Paths) {
		named[s] = true
	}
	for _, e := range entries {
		if !named[e.Name()] {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// tokenPath finds the file of the one token of odd.
func tokenPath(t *testing.T, dir string) string {
	t.Helper()
	top := filepath.Dir(snapshot.ConfigDir(dir))
	var found string
	filepath.WalkDir(top, func(p string, d os.DirEntry, err error) error {
		if data, _ := os.ReadFile(p); strings.Contains(string(data), `"refreshToken":"r1"`) {
			found, _ = filepath.Rel(top, p)
		}
		return nil
	})
	if found == "" {
		t.Fatal("no file has the token")
	}
	return filepath.ToSlash(found)
}

// TestFileWhereADirectoryWas: a path can become a directory, and a file again.
func TestFileWhereADirectoryWas(t *testing.T) {
	dir := t.TempDir()
	snap := odd()
	file, inner := poolkeeper.FileKey("configs/x"), poolkeeper.FileKey("configs/x/y/z.txt")
	for _, key := range []poolkeeper.Key{file, inner, file} {
		delete(snap.Values, file)
		delete(snap.Values, inner)
		snap.Values[key] = poolkeeper.Document{Data: []byte("text")}
		m := write(t, dir, snap, nil)
		if data, ok := readFile(t, dir, key.Name); !ok || data != "text" || len(m.Unwritten) > 0 {
			t.Errorf("%s is %q; unwritten: %v", key.Name, data, m.Unwritten)
		}
	}
}

// TestUnwritable: a path that can be that of no file is listed, and all else is there.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	snap := odd()
	long := "configs/" + strings.Repeat("n", 300)
	snap.Values[poolkeeper.FileKey(long)] = poolkeeper.Document{Data: []byte("text")}
	for range 2 {
		if m := write(t, dir, snap, nil); !slices.Equal(m.Unwritten, []string{long}) {
			t.Errorf("unwritten: %v", m.Unwritten)
		}
		for p, want := range map[string]string{"configs/notes.txt": "carried", "configs/config.json": `{"A":1}`} {
			if data, _ := readFile(t, dir, p); data != want {
				t.Errorf("%s is %q", p, data)
			}
		}
		if got, m := load(t, dir); len(m.Damage) > 0 || encoded(t, got) != encoded(t, snap) {
			t.Errorf("another snapshot was loaded; damage: %v", m.Damage)
		}
	}
}

// TestStrangerInTheWay: what somebody has put where a directory is to be costs what
// goes there, and nothing else; once it is gone all is there again.
func TestStrangerInTheWay(t *testing.T) {
	dir := t.TempDir()
	snap := odd()
	token := func() string { return tokenPath(t, dir) }
	write(t, dir, snap, nil)
	at := token()
	top := filepath.Join(snapshot.ConfigDir(dir), "..")
	sub := filepath.Join(top, filepath.Dir(filepath.FromSlash(at)))
	if err := os.RemoveAll(sub); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sub, []byte("stranger"), 0o600); err != nil {
		t.Fatal(err)
	}
	snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{"A":2}`)}
	if m := write(t, dir, snap, nil); !slices.Equal(m.Unwritten, []string{at}) {
		t.Errorf("unwritten: %v", m.Unwritten)
	}
	if data, _ := readFile(t, dir, "configs/config.json"); data != `{"A":2}` {
		t.Errorf("config.json is %q", data)
	}
	if got, m := load(t, dir); len(m.Damage) > 0 || encoded(t, got) != encoded(t, snap) {
		t.Errorf("another snapshot was loaded; damage: %v", m.Damage)
	}
	if err := os.Remove(sub); err != nil {
		t.Fatal(err)
	}
	if m := write(t, dir, snap, nil); len(m.Unwritten) > 0 || token() != at {
		t.Errorf("unwritten: %v", m.Unwritten)
	}
}
