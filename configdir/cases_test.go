package configdir_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// TestCases reads every directory there is: each is refused with its place, or
// taken with its warnings, and then written and read again as it was.
func TestCases(t *testing.T) {
	for _, c := range dirtest.Cases(t, dirtest.Fixtures) {
		t.Run(c.Name, func(t *testing.T) {
			configs := c.Dir(t)
			snap, report, err := configdir.ReadDir(context.Background(), configs, nil)
			if c.Code != "" {
				refusedAs(t, c, configs, err)
				if snap != nil || report != nil {
					t.Error("something was read")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			warnedOf(t, c, report)
			writtenAgain(t, c, configs, snap)
		})
	}
}

func refusedAs(t *testing.T, c dirtest.Case, configs string, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("it was taken")
	}
	if code := poolkeeper.ClassOf(err).Code; code != c.Code {
		t.Errorf("code %s, want %s: %v", code, c.Code, err)
	}
	file := filepath.Join(configs, c.File)
	if c.File == "" {
		file = filepath.Dir(filepath.Clean(configs))
	}
	if text := err.Error(); !strings.Contains(text, file) || !strings.Contains(text, c.Says) {
		t.Errorf("the error must name %s and say %q: %v", file, c.Says, err)
	}
}

func warnedOf(t *testing.T, c dirtest.Case, report *configdir.Report) {
	t.Helper()
	got := make([]string, 0, len(report.Warnings))
	for _, n := range report.Warnings {
		got = append(got, strings.TrimSuffix(string(n.Code)+" "+n.Path+" "+n.Where, " "))
		if n.Text == "" || len(n.String()) > 2*poolkeeper.MaxPath {
			t.Errorf("a warning says too little or too much: %.300s", n)
		}
	}
	want := slices.Sorted(slices.Values(c.Notes))
	slices.Sort(got)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("warnings (-want +got):\n%.4000s", diff)
	}
}

// writtenAgain writes what was read, and reads that.
func writtenAgain(t *testing.T, c dirtest.Case, configs string, snap *poolkeeper.Snapshot) {
	t.Helper()
	out, _ := write(t, snap)
	got := dirtest.Tree(t, out)
	want := c.Carried(t, configs)
	for p, data := range want {
		if p == "configs/provider_pools.json" {
			continue
		}
		if data2, ok := got[strings.TrimPrefix(p, "configs/")]; !ok || data2 != data {
			t.Errorf("%.300q: there %v, the same %v", p, ok, data2 == data)
		}
	}
	for p := range got {
		if _, ok := want["configs/"+p]; !ok && p != "provider_pools.json" {
			t.Errorf("%.300q was added", p)
		}
	}
	if in := want["configs/provider_pools.json"]; in != "" && !strings.HasPrefix(c.Name, "twice-type") && !strings.Contains(c.Name, "escape") {
		bare, _ := rawjson.StripBOM([]byte(in))
		if where, at := rawjson.DiffTokens(bare, []byte(got["provider_pools.json"])); at >= 0 && c.Name != "size-definition-runtime" {
			t.Errorf("the pools differ at %s", where)
		}
	}
	again, _ := read(t, out)
	if cmp, err := configdir.CompareSnapshots(snap, again, &configdir.CompareOptions{Dir: configs}); err != nil || !cmp.Equal() {
		t.Errorf("read again: %v, %v", err, cmp.Err())
	}
}

// TestLargeRuntime has a definition that only its runtime state makes too large:
// the state is kept, and the provider reads as it did.
func TestLargeRuntime(t *testing.T) {
	def := `{"usageCount":1234567,"lastErrorMessage":"x","uuid":"u","x":"` + strings.Repeat("x", poolkeeper.MaxDefinition-30) + `"}`
	snap, _ := read(t, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"t":[` + def + `]}`}))
	p := snap.Pools["t"].Provider("u")
	if err := poolkeeper.ValidateDefinition(p.Definition); err != nil {
		t.Error(err)
	}
	if p.Count(poolkeeper.UsageCount) != 1234567 || p.Literal(poolkeeper.LastErrorMessage) != `"x"` {
		t.Errorf("usageCount %s, lastErrorMessage %s", p.Literal(poolkeeper.UsageCount), p.Literal(poolkeeper.LastErrorMessage))
	}
	out, _ := write(t, snap)
	again, _ := read(t, out)
	dirtest.SameState(t, snap, again)
}

// TestStepInTheWay exports into a directory that has a file where a token path
// goes through a directory: nothing is written.
func TestStepInTheWay(t *testing.T) {
	snap, _ := read(t, dirtest.WriteTree(t, map[string]string{
		"configs/provider_pools.json": `{"t":[{"uuid":"u","A_TOKEN_FILE_PATH":"configs/up/../t.json"}]}`, "configs/t.json": "{}",
	}))
	dir := dirtest.WriteTree(t, map[string]string{"configs/up": "a file", "configs/t.json": "old"})
	before := dirtest.Tree(t, dir)
	for _, dry := range []bool{true, false} {
		_, err := configdir.WriteDir(context.Background(), dir, snap, &configdir.WriteOptions{Force: true, DryRun: dry})
		if err == nil || poolkeeper.ClassOf(err).Code != "exists" || !strings.Contains(err.Error(), filepath.Join(dir, "up")) {
			t.Errorf("dry run %v: error %v", dry, err)
		}
	}
	if diff := cmp.Diff(before, dirtest.Tree(t, dir)); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
}

// TestDeepDefinition exports what indentation would make ten thousand times as
// large.
func TestDeepDefinition(t *testing.T) {
	const depth = 9000
	def := `{"uuid":"u","x":` + strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth) + `}`
	snap, _ := read(t, dirtest.WriteTree(t, map[string]string{"configs/provider_pools.json": `{"t":[` + def + `,{"uuid":"v"}]}`}))
	out, _ := write(t, snap)
	want := "{\n  \"t\": [\n    " + def + ",\n    {\n      \"uuid\": \"v\"\n    }\n  ]\n}"
	if got := dirtest.Tree(t, out)["provider_pools.json"]; got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}
