package snapshot_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/replica/snapshot"
)

// TestDamage: what cannot be read as it was written comes from the files of the
// gateway, and that is said; the next write makes it whole.
func TestDamage(t *testing.T) {
	cut := func(name string) func(t *testing.T, dir string, m *snapshot.Manifest) {
		return func(t *testing.T, dir string, m *snapshot.Manifest) {
			name := map[string]string{"pool": m.Pools[0].Sections[0], "common": m.Common, "values": first(m.Values), "manifest": "manifest.json"}[name]
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			// Still a whole one, for who does not look at its name.
			was := bytes.Clone(data)
			for _, pair := range [][2]string{{"12", "99"}, {"secret", "secreT"}, {`{"A":1}`, `{"A":2}`}, {"e1", "e9"}, {"r1", "r9"}, {"{}", "[]"}} {
				data = bytes.ReplaceAll(data, []byte(pair[0]), []byte(pair[1]))
			}
			if bytes.Equal(was, data) {
				t.Fatalf("%s is as it was", name)
			}
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
			if name == "manifest.json" {
				if err := os.Truncate(filepath.Join(dir, name), 10); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	remove := func(name string) func(t *testing.T, dir string, m *snapshot.Manifest) {
		return func(t *testing.T, dir string, m *snapshot.Manifest) {
			name := map[string]string{"pool": m.Pools[0].Sections[0], "common": m.Common, "values": first(m.Values), "manifest": "manifest.json", "paths": first(m.Paths)}[name]
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, harm := range map[string]func(t *testing.T, dir string, m *snapshot.Manifest){
		"pool-changed": cut("pool"), "common-changed": cut("common"), "values-changed": cut("values"), "manifest-cut": cut("manifest"),
		"pool-gone": remove("pool"), "common-gone": remove("common"), "values-gone": remove("values"), "manifest-gone": remove("manifest"),
		"paths-gone": remove("paths"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			want := odd()
			harm(t, dir, write(t, dir, want, nil))
			got, m := load(t, dir)
			if len(m.Damage) == 0 && name != "paths-gone" { // which only the writer needs
				t.Error("nothing is said of the damage")
			}
			if len(got.Types) != 2 || len(got.Pools["claude-kiro-oauth"].Providers) != 2 {
				t.Errorf("loaded the pools %v", got.Types)
			}
			p := got.Provider(poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "a"})
			if p == nil || p.Count(poolkeeper.UsageCount) != 12 {
				t.Errorf("the provider is %+v", p)
			}
			for _, k := range []poolkeeper.Key{poolkeeper.ConfigKey, poolkeeper.PasswordKey, poolkeeper.DocumentKey("plugins.json"), poolkeeper.TokenKey(p.Ref)} {
				if string(got.Values[k].Data) != string(want.Values[k].Data) {
					t.Errorf("%v is %q", k, got.Values[k].Data)
				}
			}
			write(t, dir, want, nil)
			if got, m := load(t, dir); len(m.Damage) > 0 || encoded(t, got) != encoded(t, want) {
				t.Errorf("the next write has left the damage: %v", m.Damage)
			}
		})
	}
}

func first(names []string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}

// TestNothingToLoad: no snapshot, one of a newer version, and one of which nothing can
// be read are told apart.
func TestNothingToLoad(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		want error
	}{
		"missing": {func(t *testing.T, dir string) { os.Remove(dir) }, poolkeeper.ErrNotFound},
		"empty":   {func(t *testing.T, dir string) {}, poolkeeper.ErrNotFound},
		"newer": {func(t *testing.T, dir string) {
			os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"version":99,"common":"state-x"}`), 0o600)
		}, poolkeeper.ErrForeign},
		"all damaged": {func(t *testing.T, dir string) {
			write(t, dir, odd(), nil)
			os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{`), 0o600)
			os.WriteFile(filepath.Join(snapshot.ConfigDir(dir), "provider_pools.json"), []byte(`{`), 0o600)
		}, poolkeeper.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			if snap, _, err := snapshot.Load(ctx, dir); !errors.Is(err, c.want) {
				t.Errorf("loaded %v, %v; want %v", snap, err, c.want)
			}
		})
	}
}

// TestEdited: what another program has done to the files is replaced, told, and kept.
func TestEdited(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snapshot")
	snap := odd()
	write(t, dir, snap, nil)
	token := tokenPath(t, dir)
	top := filepath.Dir(snapshot.ConfigDir(dir))
	if err := os.WriteFile(filepath.Join(top, token), []byte(`{"refreshToken":"r2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(top, "configs", "config.json")); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	write(t, dir, snap, &snapshot.WriteOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if data, _ := readFile(t, dir, token); data != `{"refreshToken":"r1"}` {
		t.Errorf("the token is %s", data)
	}
	if data, _ := readFile(t, dir, "configs/config.json"); data != `{"A":1}` {
		t.Errorf("config.json is %q", data)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "edited", token)); err != nil || string(data) != `{"refreshToken":"r2"}` {
		t.Errorf("kept: %q, %v", data, err)
	}
	modes(t, dir)
	if n := strings.Count(log.String(), "another program"); n != 2 || !strings.Contains(log.String(), token) || strings.Contains(log.String(), "r2") {
		t.Errorf("the log says:\n%s", &log)
	}
	log.Reset()
	write(t, dir, snap, &snapshot.WriteOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if log.Len() > 0 {
		t.Errorf("the log says again:\n%s", &log)
	}
}

// TestFiles: the carried files are read as they were written, or refused.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := snapshot.Files(ctx, dir); !errors.Is(err, poolkeeper.ErrNotFound) {
		t.Errorf("of no snapshot: %v", err)
	}
	snap := odd()
	write(t, dir, snap, nil)
	got, err := snapshot.Files(ctx, dir)
	if err != nil || len(got.Values) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	for k, d := range got.Values {
		if want, ok := snap.Values[k]; !ok || k.Kind != poolkeeper.KindFile || !bytes.Equal(d.Data, want.Data) {
			t.Errorf("%v is %q", k, d.Data)
		}
	}
	if err := os.WriteFile(filepath.Join(snapshot.ConfigDir(dir), "notes.txt"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := snapshot.Files(ctx, dir); !errors.Is(err, poolkeeper.ErrDamaged) {
		t.Errorf("one that was changed: %+v, %v", got, err)
	}
}
