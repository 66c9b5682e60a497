package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// testSeed is random, unless the run of a seed that was logged is repeated.
func testSeed(t *testing.T) uint64 {
	const variable = "POOLKEEPER_TEST_SEED"
	seed := rand.Uint64()
	if s := os.Getenv(variable); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
	}
	t.Logf("what is generated repeats with %s=%d", variable, seed)
	return seed
}

// TestRoundTrip takes directories through the command line into Redis and out
// of it again. What must be the same is said by testdata/fixtures/README.md.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	sources, seed := fixtureSources(t), testSeed(t)
	for i := range 4 {
		sources = append(sources, generated(t, seed, i))
	}
	for _, start := range []func(*testing.T) *target{standalone, cluster} {
		r := start(t)
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, s := range sources {
				t.Run(s.name, func(t *testing.T) { roundTrip(t, r, s) })
			}
		})
	}
}

func roundTrip(t *testing.T, r *target, s *source) {
	prefix := s.prefix()
	env := r.env(t, prefix, s.configs())
	out, notes := expect(t, env, 0, "", "import")
	if first, _, _ := strings.Cut(out, "\n"); first != s.summary() {
		t.Errorf("import says %q, want %q", first, s.summary())
	}
	for _, p := range s.transient {
		if !strings.Contains(notes, "left out, as it is temporary: "+cell(p)+"\n") {
			t.Errorf("import does not say that %s was left out", p)
		}
	}
	expect(t, env, 0, "", "verify")
	imported := r.under(prefix)

	exported := filepath.Join(t.TempDir(), "root", "configs")
	expect(t, env, 0, "", "export", "--output-dir", exported)
	got := tree(t, filepath.Dir(exported))
	checkFiles(t, s, got)
	expect(t, env, 0, "", "verify", "--config-dir", exported)
	checkCredentials(t, s.root, filepath.Dir(exported))

	readsEqual(t, env, s)

	// Reading changed nothing, and neither does a second import: not even what
	// the store keeps for itself.
	if out, _ := expect(t, env, 0, "", "import"); !strings.HasSuffix(out, "\n0 changes\n") {
		t.Errorf("a second import says %q", out)
	}
	if again := r.under(prefix); redistest.Hash(again) != redistest.Hash(imported) {
		t.Errorf("a second import changed the store:\n%s", cmp.Diff(imported, again))
	}
	expect(t, env, 0, "", "verify")
	if s.providers > 0 {
		checkOneField(t, env, s, got)
	}
}

// checkCredentials compares what the gateway would find in two directories.
func checkCredentials(t *testing.T, from, to string) {
	t.Helper()
	want, left := dirtest.Gateway(t, from)
	got, extra := dirtest.Gateway(t, to)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("credentials (-original +export):\n%s", diff)
	}
	if diff := cmp.Diff(left, extra); diff != "" {
		t.Errorf("files beside them (-original +export):\n%s", diff)
	}
}

// checkFiles is rule 1: every file has the bytes that it had; of pools that the
// application did not write, every literal and their order. A provider type is
// a name: it may be written with other escapes.
func checkFiles(t *testing.T, s *source, got map[string][]byte) {
	t.Helper()
	const pools = "configs/provider_pools.json"
	for p, want := range s.files {
		data, there := got[p]
		switch {
		case slices.Contains(s.transient, p):
			if there {
				t.Errorf("%s was exported, and is temporary", p)
			}
		case !there:
			t.Errorf("%s was not exported", p)
		case sum(data) == want:
		case p != pools:
			t.Errorf("%s was changed", p)
		default:
			in, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(p)))
			if err != nil {
				t.Fatal(err)
			}
			in = bytes.TrimPrefix(in, []byte("\ufeff")) // with which no program can read it
			if isAppStyle(t, in) {
				t.Errorf("%s, in the application's style, was changed", p)
			}
			if diff := cmp.Diff(literals(t, in), literals(t, data)); diff != "" {
				t.Errorf("%s (-source +export):\n%s", p, diff)
			}
		}
	}
	for p := range got {
		if _, ok := s.files[p]; !ok && (p != pools || string(got[p]) != "{}") {
			t.Errorf("%s is in the export only", p)
		}
	}
}

// named finds providers with a name of their own, which can be changed.
func named(t *testing.T, s *source) []poolkeeper.Ref {
	t.Helper()
	snap, _, err := configdir.ReadDir(t.Context(), s.configs(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var refs []poolkeeper.Ref
	for _, typ := range snap.Types {
		for _, p := range snap.Pools[typ].Providers {
			var def struct{ CustomName *string }
			if err := json.Unmarshal(p.Definition, &def); err == nil && def.CustomName != nil {
				refs = append(refs, p.Ref)
			}
		}
	}
	if len(refs) == 0 {
		t.Fatal("no provider has a name")
	}
	return refs
}

var nameBefore = regexp.MustCompile(`"customName"\s*:\s*$`)

// checkOneField is rule 2: an edit of one field of one provider leaves every
// other byte. before is what the store was exported as.
func checkOneField(t *testing.T, env map[string]string, s *source, before map[string][]byte) {
	t.Helper()
	const pools = "configs/provider_pools.json"
	refs := named(t, s)
	ref := refs[len(refs)/2]
	const changed = `"changed \u003c by /a test/ 5"`
	expect(t, env, 0, "", "provider", "set", "--", ref.Type, ref.ID, "customName="+changed)
	if out, _ := expect(t, env, 0, "", "provider", "get", "--reveal", "--", ref.Type, ref.ID); !strings.Contains(out, changed) {
		t.Errorf("%s was not changed: %s", ref, out)
	}
	exported := filepath.Join(t.TempDir(), "root", "configs")
	expect(t, env, 0, "", "export", "--output-dir", exported)
	after := tree(t, filepath.Dir(exported))
	head, tail, ok := bytes.Cut(after[pools], []byte(changed))
	old, ok1 := bytes.CutPrefix(before[pools], head)
	old, ok2 := bytes.CutSuffix(old, tail)
	if !ok || !ok1 || !ok2 || !json.Valid(old) || !nameBefore.Match(head) {
		t.Errorf("more than the name of %s is another (%v %v %v, %q):\n%s", ref, ok, ok1, ok2, old, cmp.Diff(string(before[pools]), string(after[pools])))
	}
	delete(before, pools)
	delete(after, pools)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("an edit of a provider changed files:\n%s", diff)
	}
	out, _, _ := strings.Cut(mustDiffer(t, env), "\n")
	if want := ref.String() + " at /customName: differs"; out != want {
		t.Errorf("verify says %q, want %q", out, want)
	}
}

// mustDiffer runs verify, which must find differences, and returns them.
func mustDiffer(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	code, stdout, stderr := call(t.Context(), env, "", append([]string{"verify"}, args...)...)
	if code != poolkeeper.ExitRefused {
		t.Errorf("verify %q: exit code %d, want 1: %s%s", args, code, stdout, stderr)
	}
	return stdout + stderr
}
