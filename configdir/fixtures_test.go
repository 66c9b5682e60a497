package configdir_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

func read(t *testing.T, dir string) (*poolkeeper.Snapshot, *configdir.Report) {
	t.Helper()
	snap, report, err := configdir.ReadDir(context.Background(), dir, nil)
	if err != nil {
		t.Fatalf("ReadDir: %v", err)
	}
	return snap, report
}

func write(t *testing.T, snap *poolkeeper.Snapshot) (dir string, report *configdir.Report) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "root", "configs")
	report, err := configdir.WriteDir(context.Background(), dir, snap, nil)
	if err != nil {
		t.Fatalf("WriteDir: %v", err)
	}
	return dir, report
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
func whereOf(r *configdir.Report, codes ...configdir.Code) []string {
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
			want := dirtest.Expected[facts](t, name)
			snap, report := read(t, dirtest.Configs(name))
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
				"scanned": report.Scanned, "sessions": report.SessionEntries, "warned duplicates": len(whereOf(report, configdir.CodeUUIDDuplicate)),
			}
			if diff := cmp.Diff(map[string]int{
				"types": len(want.Types), "providers": want.Providers, "usable": want.UsableUUID, "token files": want.TokenFiles,
				"scanned": want.Scanned, "sessions": want.Sessions, "warned duplicates": len(want.DuplicateUUID),
			}, got); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			noUUID := []string{}
			for _, w := range whereOf(report, configdir.CodeUUIDUnusable) {
				noUUID = append(noUUID, strings.TrimSuffix(w, ".uuid"))
			}
			slices.Sort(want.NoUUID)
			lists := []struct {
				what      string
				want, got []string
			}{
				{"without uuid", want.NoUUID, noUUID},
				{"missing", fieldsOf(want.TokenRefs.Missing), whereOf(report, configdir.CodeTokenMissing)},
				{"directory", fieldsOf(want.TokenRefs.Directory), whereOf(report, configdir.CodeTokenDirectory)},
				{"outside", fieldsOf(want.TokenRefs.Outside), whereOf(report, configdir.CodeTokenOutside)},
				{"empty", fieldsOf(want.TokenRefs.Empty), whereOf(report, configdir.CodeTokenPath)},
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

func TestSessionsExpire(t *testing.T) {
	dir := dirtest.Configs("edge")
	for at, want := range map[int64]int{1_700_000_000_000: 4, 1_700_003_600_000: 2, 4_102_444_800_000: 1} {
		_, report, err := configdir.ReadDir(context.Background(), dir, &configdir.ReadOptions{Now: func() time.Time { return time.UnixMilli(at) }})
		if err != nil {
			t.Fatal(err)
		}
		if report.Sessions != want {
			t.Errorf("at %d: %d live sessions, want %d", at, report.Sessions, want)
		}
	}
}
