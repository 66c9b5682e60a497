package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/transfer"
)

const fixtures = "../testdata/fixtures"

// roundTrips are the fixtures that an import takes whole.
var roundTrips = []string{
	"typical", "typical-jan2026", "edge", "edge-bom",
	"edge-pwd/absent", "edge-pwd/blank", "edge-pwd/crlf", "edge-pwd/empty", "edge-pwd/invalid-utf8", "edge-pwd/multiline",
	"edge-pwd/newline", "edge-pwd/pbkdf2-malformed", "edge-pwd/pbkdf2-newline", "edge-pwd/plain", "edge-pwd/spaces", "edge-pwd/unicode",
}

func configsOf(fixture string) string {
	return filepath.Join(fixtures, filepath.FromSlash(fixture), "configs")
}

// manifest maps the files of a fixture, relative to its root, to their hashes.
func manifest(t *testing.T, fixture string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures, "MANIFEST.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(data)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if rest, in := strings.CutPrefix(name, fixture+"/"); ok && in {
			files[rest] = sum
		}
	}
	if len(files) == 0 {
		t.Fatalf("the manifest has no file of %s", fixture)
	}
	return files
}

func expected[T any](t *testing.T, section string) T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures, "EXPECTED.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(all[section], &v); err != nil {
		t.Fatalf("%s: %v", section, err)
	}
	return v
}

// copyTree copies a directory and returns the copy of its configs/.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, "configs")
}

// writeTree makes files under a new root and returns its configs/.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "configs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(root, "configs")
}

// tree reads all regular files below a root, by their slash separated paths.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(root, p)
		files[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sum(data string) string {
	s := sha256.Sum256([]byte(data))
	return hex.EncodeToString(s[:])
}

func read(t *testing.T, dir string) (*poolkeeper.Snapshot, *transfer.Report) {
	t.Helper()
	snap, report, err := transfer.ReadDir(context.Background(), dir, nil)
	if err != nil {
		t.Fatalf("ReadDir: %v", err)
	}
	return snap, report
}

func write(t *testing.T, snap *poolkeeper.Snapshot) (dir string, report *transfer.Report) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "root", "configs")
	report, err := transfer.WriteDir(context.Background(), dir, snap, nil)
	if err != nil {
		t.Fatalf("WriteDir: %v", err)
	}
	return dir, report
}

func newStore(t *testing.T) *poolkeeper.Store {
	t.Helper()
	st := poolkeeper.New(memstore.New(nil), nil)
	t.Cleanup(func() { st.Close() })
	return st
}

func imported(t *testing.T, dir string) *poolkeeper.Store {
	t.Helper()
	st := newStore(t)
	mustImport(t, st, dir, nil)
	return st
}

func mustImport(t *testing.T, st *poolkeeper.Store, dir string, opts *transfer.ImportOptions) *transfer.ImportResult {
	t.Helper()
	res, err := transfer.Import(context.Background(), st, dir, opts)
	if err != nil {
		t.Fatalf("Import: %v", err)
	}
	return res
}

type facts struct {
	Types           []string            `json:"types_in_order"`
	PerType         map[string]int      `json:"providers_per_type"`
	Providers       int                 `json:"providers_total"`
	UsableUUID      int                 `json:"providers_with_usable_uuid"`
	NoUUID          []string            `json:"providers_without_usable_uuid"`
	DuplicateUUID   map[string][]string `json:"duplicate_uuid_in_type"`
	SameUUIDInTypes map[string][]string `json:"same_uuid_in_types"`
	TokenRefs       struct {
		File      []string `json:"file"`
		Missing   []string `json:"missing"`
		Directory []string `json:"directory"`
		Outside   []string `json:"outside_root"`
		Beside    []string `json:"inside_root_outside_configs"`
		Empty     []string `json:"empty_or_non_string"`
	} `json:"token_refs"`
	TokenFiles   int                 `json:"distinct_token_files"`
	Shared       map[string][]string `json:"token_files_shared"`
	Scanned      int                 `json:"files_under_configs"`
	Unreferenced []string            `json:"unreferenced_files"`
	Transient    []string            `json:"transient_files"`
	Sessions     int                 `json:"sessions"`
}

// whereOf lists the places of the notes with a code.
func whereOf(r *transfer.Report, codes ...transfer.Code) []string {
	var places []string
	for _, n := range r.Warnings {
		if slices.Contains(codes, n.Code) {
			places = append(places, n.Where)
		}
	}
	slices.Sort(places)
	return places
}

// fieldsOf strips the values from "type[0].field = value".
func fieldsOf(refs []string) []string {
	var out []string
	for _, r := range refs {
		field, _, _ := strings.Cut(r, " = ")
		out = append(out, field)
	}
	slices.Sort(out)
	return out
}

func TestFacts(t *testing.T) {
	for _, name := range []string{"typical", "typical-jan2026", "edge", "edge-bom"} {
		t.Run(name, func(t *testing.T) {
			want := expected[facts](t, name)
			snap, report := read(t, configsOf(name))
			if diff := cmp.Diff(want.Types, snap.Types); diff != "" {
				t.Errorf("types (-want +got):\n%s", diff)
			}
			for typ, n := range want.PerType {
				if got := len(snap.Pools[typ].Providers); got != n {
					t.Errorf("%q has %d providers, want %d", typ, got, n)
				}
			}
			usable, ids := 0, map[string]int{}
			for _, p := range snap.Pools {
				for i := range p.Providers {
					if id, ok := poolkeeper.UsableUUID(p.Providers[i].Definition); ok {
						usable++
						ids[id]++
					}
				}
			}
			got := map[string]int{
				"types": report.Types, "providers": report.Providers, "usable": usable, "token files": report.TokenFiles,
				"scanned": report.Scanned, "sessions": report.SessionEntries, "warned duplicates": len(whereOf(report, transfer.CodeUUIDDuplicate)),
			}
			if diff := cmp.Diff(map[string]int{
				"types": len(want.Types), "providers": want.Providers, "usable": want.UsableUUID, "token files": want.TokenFiles,
				"scanned": want.Scanned, "sessions": want.Sessions, "warned duplicates": len(want.DuplicateUUID),
			}, got); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			noUUID := []string{}
			for _, w := range whereOf(report, transfer.CodeUUIDUnusable) {
				noUUID = append(noUUID, strings.TrimSuffix(w, ".uuid"))
			}
			slices.Sort(want.NoUUID)
			lists := []struct {
				what      string
				want, got []string
			}{
				{"without uuid", want.NoUUID, noUUID},
				{"missing", fieldsOf(want.TokenRefs.Missing), whereOf(report, transfer.CodeTokenMissing)},
				{"directory", fieldsOf(want.TokenRefs.Directory), whereOf(report, transfer.CodeTokenDirectory)},
				{"outside", fieldsOf(want.TokenRefs.Outside), whereOf(report, transfer.CodeTokenOutside)},
				{"empty", fieldsOf(want.TokenRefs.Empty), whereOf(report, transfer.CodeTokenPath)},
				{"transient", want.Transient, report.Transient},
				{"unreferenced", want.Unreferenced, report.Unreferenced},
			}
			for _, l := range lists {
				if strings.Join(l.want, "\n") != strings.Join(l.got, "\n") {
					t.Errorf("%s:\n got %q\nwant %q", l.what, l.got, l.want)
				}
			}
			for _, ref := range append(want.TokenRefs.File, want.TokenRefs.Beside...) {
				_, raw, _ := strings.Cut(ref, " = ")
				clean, _ := poolkeeper.NormalizeTokenPath(raw)
				_, isToken := snap.Values[poolkeeper.TokenRefKey(clean)]
				_, isFile := snap.Values[poolkeeper.FileKey(clean)]
				if isToken == isFile {
					t.Errorf("%s: token %v, file %v", ref, isToken, isFile)
				}
			}
			for p := range want.Shared {
				if _, ok := snap.Values[poolkeeper.TokenRefKey(p)]; !ok {
					t.Errorf("the shared token %s has no owner", p)
				}
			}
		})
	}
}

// TestByteFidelity is rule 1: directory, store, empty directory.
func TestByteFidelity(t *testing.T) {
	for _, name := range roundTrips {
		t.Run(name, func(t *testing.T) {
			src := configsOf(name)
			want := manifest(t, name)
			st := imported(t, src)
			snap, err := st.Snapshot(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			out, _ := write(t, snap)
			got := tree(t, filepath.Dir(out))
			_, report := read(t, src)
			for p, hash := range want {
				data, there := got[p]
				switch {
				case slices.Contains(report.Transient, p):
					if there {
						t.Errorf("%s was exported, and is transient", p)
					}
				case !there:
					t.Errorf("%s is missing", p)
				case sum(data) != hash && p == "configs/provider_pools.json":
					in, err := os.ReadFile(filepath.Join(src, "provider_pools.json"))
					if err != nil {
						t.Fatal(err)
					}
					in, _ = rawjson.StripBOM(in)
					if where, at := rawjson.DiffTokens(in, []byte(data)); at >= 0 {
						t.Errorf("the pools differ at %s", where)
					}
					if name == "typical" {
						t.Error("the pools in the application's style are not the same bytes")
					}
				case sum(data) != hash:
					t.Errorf("%s differs", p)
				}
				delete(got, p)
			}
			delete(got, "configs/provider_pools.json") // {} where there was none
			for p := range got {
				t.Errorf("%s was added", p)
			}
			if _, err := transfer.Verify(context.Background(), st, out, nil); err != nil {
				t.Errorf("the store differs from its export: %v", err)
			}
			if c, err := transfer.Verify(context.Background(), st, src, nil); err != nil {
				t.Errorf("the store differs from its source: %v, %v", err, c)
			}
		})
	}
}

// TestDocumentFidelity is rule 2: one changed field changes nothing else.
func TestDocumentFidelity(t *testing.T) {
	for _, name := range []string{"typical", "typical-jan2026", "edge"} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			st := imported(t, configsOf(name))
			before, err := st.Snapshot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			ref := before.Pools[before.Types[0]].Providers[0].Ref
			if _, err := st.PatchProvider(ctx, ref, poolkeeper.MergePatch, []byte(`{"customName":"changed"}`), poolkeeper.Always); err != nil {
				t.Fatal(err)
			}
			if _, err := st.Usage(ctx, ref, 1); err != nil {
				t.Fatal(err)
			}
			after, err := st.Snapshot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			out, _ := write(t, after)
			again, _ := read(t, out)
			if !slices.Equal(before.Types, again.Types) {
				t.Errorf("types are now %q", again.Types)
			}
			c, err := transfer.CompareSnapshots(again, before, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range c.Differences {
				got = append(got, d.What+" "+d.Where)
			}
			want := []string{ref.String() + " /customName", ref.String() + " /usageCount", ref.String() + " /lastUsed"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if want := before.Provider(ref).Count(poolkeeper.UsageCount) + 1; again.Provider(ref).Count(poolkeeper.UsageCount) != want {
				t.Errorf("usageCount is %d, want %d", again.Provider(ref).Count(poolkeeper.UsageCount), want)
			}
		})
	}
}

// TestIdempotence is rule 3: a second import changes nothing.
func TestIdempotence(t *testing.T) {
	for _, name := range roundTrips {
		t.Run(name, func(t *testing.T) {
			st := newStore(t)
			first := mustImport(t, st, configsOf(name), nil)
			before, _ := st.Snapshot(context.Background())
			for _, force := range []bool{false, true} {
				second := mustImport(t, st, configsOf(name), &transfer.ImportOptions{Force: force})
				if !first.Restored || second.Restored || second.Changes() != 0 || len(second.Kept) != 0 {
					t.Errorf("second import: %d added %v, %d changed %v, kept %v", len(second.Added), second.Added, len(second.Changed), second.Changed, second.Kept)
				}
			}
			after, _ := st.Snapshot(context.Background())
			if diff := cmp.Diff(before, after, cmp.AllowUnexported(poolkeeper.State{})); diff != "" {
				t.Errorf("the store changed:\n%s", diff)
			}
		})
	}
}

// TestReadEquality is rule 4: a store filled from the directory answers as the
// directory does.
func TestReadEquality(t *testing.T) {
	for _, name := range roundTrips {
		t.Run(name, func(t *testing.T) {
			want, _ := read(t, configsOf(name))
			got, err := imported(t, configsOf(name)).Snapshot(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			sameState(t, want, got)
		})
	}
}

// sameState compares everything that readers see.
func sameState(t *testing.T, want, got *poolkeeper.Snapshot) {
	t.Helper()
	if !slices.Equal(want.Types, got.Types) {
		t.Errorf("types %q, want %q", got.Types, want.Types)
	}
	for _, typ := range want.Types {
		a, b := want.Pools[typ], got.Pools[typ]
		if b == nil || len(a.Providers) != len(b.Providers) {
			t.Errorf("pool %q differs", typ)
			continue
		}
		for i := range a.Providers {
			x, err1 := a.Providers[i].JSON()
			y, err2 := b.Providers[i].JSON()
			if err1 != nil || err2 != nil || a.Providers[i].ID != b.Providers[i].ID || !rawjson.EqualTokens(x, y) {
				t.Errorf("provider %d of %q differs: %v %v", i, typ, err1, err2)
			}
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(want.Values), poolkeeper.CompareKeys) {
		d, ok := got.Values[k]
		if !ok || !bytes.Equal(d.Data, want.Values[k].Data) || d.ExpiresAt != want.Values[k].ExpiresAt {
			t.Errorf("%s differs (there: %v)", k, ok)
		}
	}
	for k := range got.Values {
		if _, ok := want.Values[k]; !ok {
			t.Errorf("%s was added", k)
		}
	}
}

func TestSessionsExpire(t *testing.T) {
	dir := configsOf("edge")
	for at, want := range map[int64]int{1_700_000_000_000: 4, 1_700_003_600_000: 2, 4_102_444_800_000: 1} {
		_, report, err := transfer.ReadDir(context.Background(), dir, &transfer.ReadOptions{Now: func() time.Time { return time.UnixMilli(at) }})
		if err != nil {
			t.Fatal(err)
		}
		if report.Sessions != want {
			t.Errorf("at %d: %d live sessions, want %d", at, report.Sessions, want)
		}
	}
}
