package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestCases imports every directory there is into Redis, by the command line.
// What is refused leaves Redis and the directory as they were; what is taken is
// listed with its warnings, comes out again as it was, and is verified.
func TestCases(t *testing.T) {
	t.Parallel()
	r := standalone(t)
	for i, c := range dirtest.Cases(t, fixtures(t)) {
		if c.Big && testing.Short() {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			prefix := fmt.Sprintf("case-%d:", i)
			env := r.env(t, prefix, c.Dir(t))
			if c.Code != "" {
				refusesCase(t, r, c, env)
				return
			}
			takesCase(t, r, c, env, prefix)
			// Nothing of one case is needed by the next, and some are large.
			r.must(t, "", "FLUSHALL")
		})
	}
}

// refusesCase runs the three commands that read a directory.
func refusesCase(t *testing.T, r *target, c dirtest.Case, env map[string]string) {
	t.Helper()
	configs := env["POOLKEEPER_CONFIG_DIR"]
	class, ok := poolkeeper.ClassOfCode(c.Code)
	if !ok {
		t.Fatalf("no code %s", c.Code)
	}
	file := filepath.Join(configs, c.File)
	if c.File == "" {
		file = filepath.Dir(filepath.Clean(configs))
	}
	root := filepath.Dir(filepath.Clean(configs))
	stored, files := redistest.Hash(r.dump()), listing(t, root)
	for _, args := range [][]string{{"import"}, {"import", "--dry-run"}, {"import", "--force"}, {"verify"}} {
		code, stdout, stderr := call(t.Context(), env, "", args...)
		if code != class.Exit || stdout != "" || !strings.Contains(stderr, file) || !strings.Contains(stderr, c.Says) {
			t.Errorf("%q: exit code %d, want %d, with %s and %q\n%s%s", args, code, class.Exit, file, c.Says, stdout, stderr)
		}
	}
	if redistest.Hash(r.dump()) != stored {
		t.Error("Redis was changed")
	}
	if diff := cmp.Diff(files, listing(t, root)); diff != "" {
		t.Errorf("files were changed:\n%s", diff)
	}
}

// listing is one line for each thing below a root, with size and time of change.
func listing(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(root, func(p string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintf(&b, "%s %s %d %s\n", info.Mode(), p, info.Size(), info.ModTime())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// takesCase imports a directory, and goes round with it.
func takesCase(t *testing.T, r *target, c dirtest.Case, env map[string]string, prefix string) {
	t.Helper()
	stdout, _ := expect(t, env, 0, "", "import", "--json")
	var result struct {
		Report struct {
			Warnings []struct{ Code, Path, Where string }
		}
	}
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatalf("%v: %.300s", err, stdout)
	}
	var got []string
	for _, w := range result.Report.Warnings {
		got = append(got, strings.TrimSuffix(w.Code+" "+w.Path+" "+w.Where, " "))
	}
	slices.Sort(got)
	var want []string
	for _, n := range c.Notes {
		want = append(want, string([]rune(n))) // JSON can say no more
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("warnings (-want +got):\n%.4000s", cmp.Diff(want, got))
	}
	expect(t, env, 0, "", "verify")
	imported := redistest.Hash(r.under(prefix))
	out := filepath.Join(t.TempDir(), "root", "configs")
	expect(t, env, 0, "", "export", "--output-dir", out)
	exported := tree(t, out)
	for p, data := range c.Carried(t, env["POOLKEEPER_CONFIG_DIR"]) {
		p = strings.TrimPrefix(p, "configs/")
		if p != "provider_pools.json" && string(exported[p]) != data {
			t.Errorf("%.300q is another", p)
		}
	}
	expect(t, env, 0, "", "verify", "--config-dir", out)
	if again, _ := expect(t, env, 0, "", "import"); !strings.HasSuffix(again, "\n0 changes\n") {
		t.Errorf("a second import says %q", again)
	}
	if redistest.Hash(r.under(prefix)) != imported {
		t.Error("a second import changed the store")
	}
}

// TestOddCounters counts on, by the command, from what is no whole number: none
// of it is an error, and only what was used is another literal than before.
func TestOddCounters(t *testing.T) {
	t.Parallel()
	r := standalone(t)
	configs := filepath.Join(fixtures(t), "broken", "counters-not-numbers", "configs")
	env := r.env(t, "odd:", configs)
	expect(t, env, 0, "", "import")
	var file map[string][]struct{ UUID string }
	data, err := os.ReadFile(filepath.Join(configs, "provider_pools.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	want := []string{"13", "-4", "3", "1", "1", "1", "1", "1", "1", "9223372036854775807", "9223372036854775807", "8"}
	if len(file["openai-custom"]) != len(want) {
		t.Fatalf("%d providers", len(file["openai-custom"]))
	}
	for i, p := range file["openai-custom"] {
		expect(t, env, 0, "", "usage", "openai-custom", p.UUID)
		var now struct{ UsageCount json.Number }
		out, _ := expect(t, env, 0, "", "provider", "get", "openai-custom", p.UUID)
		if err := json.Unmarshal([]byte(out), &now); err != nil || now.UsageCount.String() != want[i] {
			t.Errorf("%d: %s, want %s: %v", i, now.UsageCount, want[i], err)
		}
		if i == 0 { // the second one is as it was
			out, _ := expect(t, env, 0, "", "provider", "get", "openai-custom", file["openai-custom"][2].UUID)
			if !strings.Contains(out, `"usageCount": 2.5`) {
				t.Errorf("what nobody used was changed: %s", out)
			}
		}
	}
}
