package configdir_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// externalTree is a directory whose providers name files outside: by an absolute
// path, through "..", twice the same, one that is missing, a directory, a second
// path, and a way around that leads inside.
func externalTree(t *testing.T) (dir, outside string) {
	t.Helper()
	outside = t.TempDir()
	abs := filepath.ToSlash(outside)
	dir = dirtest.WriteTree(t, map[string]string{
		"configs/provider_pools.json": `{"claude-kiro-oauth":[
			{"uuid":"abs","KIRO_OAUTH_CREDS_FILE_PATH":"` + abs + `/abs.json"},
			{"uuid":"same","KIRO_OAUTH_CREDS_FILE_PATH":"` + abs + `//sub/../abs.json"},
			{"uuid":"up","KIRO_OAUTH_CREDS_FILE_PATH":"../up.json"},
			{"uuid":"missing","KIRO_OAUTH_CREDS_FILE_PATH":"` + abs + `/missing.json"},
			{"uuid":"dir","KIRO_OAUTH_CREDS_FILE_PATH":"` + abs + `"},
			{"uuid":"around","KIRO_OAUTH_CREDS_FILE_PATH":"` + abs + `/link/configs/kiro/in.json"}],
			"openai-iflow":[{"uuid":"two","IFLOW_TOKEN_FILE_PATH":"configs/iflow.json","IFLOW_OAUTH_CREDS_FILE_PATH":"` + abs + `/second.json"}]}`,
		"configs/kiro/in.json": `{"n":"in"}`, "configs/iflow.json": `{"n":"iflow"}`,
	})
	for name, data := range map[string]string{"abs.json": `{"n":"abs"}`, "second.json": `{"n":"second"}`} {
		if err := os.WriteFile(filepath.Join(outside, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "..", "up.json"), []byte(`{"n":"up"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(dir), filepath.Join(outside, "link")); err != nil {
		t.Fatal(err)
	}
	return dir, outside
}

func tokensOf(snap *poolkeeper.Snapshot) (all []string) {
	for _, k := range snap.KeysOf(poolkeeper.KindToken) {
		all = append(all, k.Name+" "+string(snap.Values[k].Data))
	}
	return all
}

func TestExternalTokens(t *testing.T) {
	dir, outside := externalTree(t)
	// Without leave, nothing outside is read.
	snap, report := read(t, dir)
	if got, want := tokensOf(snap), []string{`two {"n":"iflow"}`}; !slices.Equal(got, want) {
		t.Errorf("tokens %q, want %q", got, want)
	}
	n := 0
	for _, w := range report.Warnings {
		if w.Code == configdir.CodeTokenOutside {
			n++
		}
	}
	if n != 7 {
		t.Errorf("%d warnings of files outside: %v", n, report.Warnings)
	}

	snap, report, err := configdir.ReadDir(t.Context(), dir, &configdir.ReadOptions{AllowExternal: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`abs {"n":"abs"}`, `around {"n":"in"}`, `up {"n":"up"}`, `two {"n":"iflow"}`}
	if got := tokensOf(snap); !slices.Equal(got, want) {
		t.Errorf("tokens %q, want %q", got, want)
	}
	codes := map[configdir.Code]int{}
	for _, w := range report.Warnings {
		codes[w.Code]++
	}
	if codes[configdir.CodeTokenOutside] != 0 || codes[configdir.CodeTokenMissing] != 1 || codes[configdir.CodeTokenDirectory] != 1 || codes[configdir.CodeTokenSecond] != 1 {
		t.Errorf("warnings %v", report.Warnings)
	}

	// An export without leave gives them a place inside, and says so.
	out := filepath.Join(t.TempDir(), "deep", "root", "configs")
	report, err = configdir.WriteDir(t.Context(), out, snap, nil)
	if err != nil {
		t.Fatal(err)
	}
	placed := 0
	for _, w := range report.Warnings {
		if w.Code == configdir.CodePlaced {
			placed++
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(out), "..", "up.json")); !errors.Is(err, os.ErrNotExist) || placed != 2 {
		t.Errorf("written outside: %v; %v", err, report.Warnings)
	}
	again, _ := read(t, out)
	// The way around leads to the other directory, from there.
	if got := tokensOf(again); !slices.Equal(got, []string{want[0], want[2], want[3]}) {
		t.Errorf("the export has the tokens %q", got)
	}

	// With leave they go back to where they were; what is there already with
	// other content is in the way.
	back := filepath.Join(filepath.Dir(filepath.Dir(out)), "root2", "configs")
	if err := os.WriteFile(filepath.Join(outside, "abs.json"), []byte("other"), 0o640); err != nil {
		t.Fatal(err)
	}
	allow := &configdir.WriteOptions{AllowExternal: true}
	if _, err := configdir.WriteDir(t.Context(), back, snap, allow); !errors.Is(err, poolkeeper.ErrExists) || !strings.Contains(err.Error(), filepath.Join(outside, "abs.json")) {
		t.Fatalf("error %v, want ErrExists about abs.json", err)
	}
	if _, err := os.Stat(back); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	if err := os.Remove(filepath.Join(outside, "abs.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := configdir.WriteDir(t.Context(), back, snap, allow); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{filepath.Join(outside, "abs.json"): `{"n":"abs"}`, filepath.Join(filepath.Dir(back), "..", "up.json"): `{"n":"up"}`} {
		info, err := os.Stat(p)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", p, err)
			continue
		}
		if data, _ := os.ReadFile(p); string(data) != want {
			t.Errorf("%s is %s", p, data)
		}
	}
	if err := os.Remove(filepath.Join(outside, "link")); err != nil {
		t.Fatal(err)
	}
	now, _, err := configdir.ReadDir(t.Context(), back, &configdir.ReadOptions{AllowExternal: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := configdir.CompareSnapshots(now, snap, &configdir.CompareOptions{AllowExternal: true, Dir: back})
	if err != nil || !c.Equal() {
		t.Errorf("%v %v", err, c)
	}
}
