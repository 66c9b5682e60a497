package configdir_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
	CaseUUIDs       [][]string          `json:"uuids_differing_only_by_case"`
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

// findFacts finds out what EXPECTED.json says of a fixture.
func findFacts(t *testing.T, snap *poolkeeper.Snapshot, report *configdir.Report) facts {
	t.Helper()
	f := facts{
		Types: snap.Types, PerType: map[string]int{}, NoUUID: []string{}, DuplicateUUID: map[string][]string{}, SameUUIDInTypes: map[string][]string{},
		CaseUUIDs: [][]string{}, Shared: map[string][]string{}, TokenFiles: report.TokenFiles, Scanned: report.Scanned,
		Unreferenced: report.Unreferenced, Transient: report.Transient, Sessions: report.SessionEntries,
	}
	inTypes, folded, namers := map[string][]string{}, map[string][]string{}, map[string][]string{}
	for _, typ := range snap.Types {
		pool := snap.Pools[typ].Providers
		f.PerType[typ] = len(pool)
		f.Providers += len(pool)
		for i := range pool {
			at := fmt.Sprintf("%s[%d]", typ, i)
			if id, ok := poolkeeper.UsableUUID(pool[i].Definition); ok {
				f.UsableUUID++
				f.DuplicateUUID[typ+" "+id] = append(f.DuplicateUUID[typ+" "+id], at)
				if !slices.Contains(inTypes[id], typ) {
					inTypes[id] = append(inTypes[id], typ)
				}
				if l := strings.ToLower(id); !slices.Contains(folded[l], id) {
					folded[l] = append(folded[l], id)
				}
			} else {
				f.NoUUID = append(f.NoUUID, at)
			}
			for _, p := range poolkeeper.TokenPaths(pool[i].Definition) {
				ref, where := fmt.Sprintf("%s.%s = %s", at, p.Field, p.Raw), at+"."+p.Field
				list := &f.TokenRefs.File
				switch {
				case slices.Contains(whereOf(report, configdir.CodeTokenMissing), where):
					list = &f.TokenRefs.Missing
				case slices.Contains(whereOf(report, configdir.CodeTokenDirectory), where):
					list = &f.TokenRefs.Directory
				case slices.Contains(whereOf(report, configdir.CodeTokenOutside), where):
					list = &f.TokenRefs.Outside
				case !strings.HasPrefix(p.Path, "configs/"):
					list = &f.TokenRefs.Beside
				}
				*list = append(*list, ref)
				if list == &f.TokenRefs.File || list == &f.TokenRefs.Beside {
					namers[p.Path] = append(namers[p.Path], at)
					_, isToken := snap.Values[poolkeeper.TokenRefKey(p.Path)]
					_, isFile := snap.Values[poolkeeper.FileKey(p.Path)]
					if isToken == isFile {
						t.Errorf("%s: token %v, file %v", ref, isToken, isFile)
					}
				}
			}
		}
	}
	f.TokenRefs.Empty = whereOf(report, configdir.CodeTokenPath)
	maps.DeleteFunc(f.DuplicateUUID, func(_ string, at []string) bool { return len(at) < 2 })
	for id, types := range inTypes {
		if slices.Sort(types); len(types) > 1 {
			f.SameUUIDInTypes[id] = types
		}
	}
	for _, ids := range folded {
		if slices.Sort(ids); len(ids) > 1 {
			f.CaseUUIDs = append(f.CaseUUIDs, ids)
		}
	}
	for p, at := range namers {
		if len(at) > 1 {
			f.Shared[p] = at
		}
	}
	return f
}

// TestFacts compares each fact of EXPECTED.json with what was read.
func TestFacts(t *testing.T) {
	for _, name := range []string{"typical", "typical-jan2026", "edge", "edge-bom"} {
		t.Run(name, func(t *testing.T) {
			want := dirtest.Expected[facts](t, name)
			snap, report := read(t, dirtest.Configs(name))
			got := findFacts(t, snap, report)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
			// The report says of each oddity where it is.
			duplicates, noUUID := []string{}, []string{}
			for _, at := range want.DuplicateUUID {
				for _, one := range at[1:] {
					duplicates = append(duplicates, one+".uuid")
				}
			}
			for _, at := range want.NoUUID {
				noUUID = append(noUUID, at+".uuid")
			}
			slices.Sort(noUUID)
			if diff := cmp.Diff(duplicates, whereOf(report, configdir.CodeUUIDDuplicate), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("warned duplicates (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(noUUID, whereOf(report, configdir.CodeUUIDUnusable), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("warned without uuid (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWarnings lists the warnings of the fixtures that an import takes whole,
// beside those that [TestFacts] has.
func TestWarnings(t *testing.T) {
	const edge = "claude-kiro-oauth[0]"
	for name, want := range map[string][]string{
		"typical": nil, "typical-jan2026": nil,
		"edge": {
			"counter configs/provider_pools.json " + edge + ".errorCount", "counter configs/provider_pools.json " + edge + ".refreshCount",
			"token-second configs/provider_pools.json openai-iflow[0].IFLOW_OAUTH_CREDS_FILE_PATH",
			"token-second configs/provider_pools.json mystery-provider[0].MYSTERY_EXTRA_TOKEN_FILE_PATH",
			"duplicate-key configs/kiro/1769000000001_edge/1769000000001_edge.json ",
			"token-object configs/kiro/bom/bom.json ", "token-object configs/kiro/comma/comma.json ",
			"token-object configs/kiro/zero/zero.json ", "token-object configs/kiro/array/array.json ",
		},
		"edge-bom": {"bom configs/config.json ", "bom configs/provider_pools.json "},
	} {
		_, report := read(t, dirtest.Configs(name))
		var got []string
		for _, n := range report.Warnings {
			switch n.Code {
			case configdir.CodeUUIDUnusable, configdir.CodeUUIDDuplicate, configdir.CodeTokenMissing, configdir.CodeTokenDirectory, configdir.CodeTokenOutside, configdir.CodeTokenPath:
			default:
				got = append(got, string(n.Code)+" "+n.Path+" "+n.Where)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
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
