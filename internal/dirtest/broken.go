package dirtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A brokenFixture is what is to be said about a directory of broken/.
type brokenFixture struct {
	code, file, says string
	notes            []string
}

// brokenFixtures tell of each what EXPECTED.json does not: where the fault is.
func brokenFixtures() map[string]brokenFixture {
	const (
		poolsFile = "provider_pools.json"
		config    = "config.json"
		noPath    = "token-path " + poolsAt + " claude-kiro-oauth[%d].KIRO_OAUTH_CREDS_FILE_PATH"
	)
	invalid := func(file, says string) brokenFixture { return brokenFixture{"invalid", file, says, nil} }
	warned := func(notes ...string) brokenFixture { return brokenFixture{"", "", "", notes} }
	var counters, paths []string
	for i := range 12 {
		for _, f := range []string{"usageCount", "errorCount", "refreshCount"} {
			if i != 10 { // 2^63-1 is a whole number
				counters = append(counters, fmt.Sprintf("counter %s openai-custom[%d].%s", poolsAt, i, f))
			}
		}
	}
	for i := range 4 {
		paths = append(paths, fmt.Sprintf(noPath, i))
	}
	return map[string]brokenFixture{
		"config-empty-file":           invalid(config, "1:1: the file is empty"),
		"config-pools-path-elsewhere": invalid(config, "PROVIDER_POOLS_FILE_PATH is data/other_pools.json"),
		"config-top-array":            invalid(config, "1:1"),
		"config-trailing-comma":       invalid(config, "4:1"),
		"configs-is-file":             invalid("", "not a directory"),
		"no-configs-dir":              {"not-found", "", "no such file", nil},
		"pool-is-null":                invalid(poolsFile, "/openai-custom is null"),
		"pool-is-object":              invalid(poolsFile, "/openai-custom is an object"),
		"pools-comments":              invalid(poolsFile, "2:3"),
		"pools-depth-20000":           invalid(poolsFile, "nested too deeply"),
		"pools-empty-file":            invalid(poolsFile, "1:1: the file is empty"),
		"pools-html":                  invalid(poolsFile, "1:1"),
		"pools-is-directory":          invalid(poolsFile, "it is a directory"),
		"pools-top-array":             invalid(poolsFile, "1:1"),
		"pools-top-null":              invalid(poolsFile, "1:1"),
		"pools-top-string":            invalid(poolsFile, "1:1"),
		"pools-trailing-garbage":      invalid(poolsFile, "expected end of document"),
		"pools-truncated":             invalid(poolsFile, "unexpected end of document"),
		"provider-not-object":         invalid(poolsFile, "/openai-custom/0 is null"),
		"pwd-is-directory":            invalid("pwd", "it is a directory"),

		"config-wrong-types":    warned("config configs/config.json /PROVIDER_POOLS_FILE_PATH"),
		"counters-not-numbers":  warned(counters...),
		"custom-models-object":  warned("document configs/custom_models.json"),
		"path-not-string":       warned(append(paths, pathNote("token-missing", "4"))...),
		"path-traversal":        warned(pathNote("token-outside", "0"), pathNote("token-outside", "1"), pathNote("token-outside", "2"), pathNote("token-outside", "3"), pathNote("token-missing", "5")),
		"plugins-wrong-type":    warned("document configs/plugins.json"),
		"token-binary":          warned("token-object configs/kiro/bin/bin.json"),
		"token-store-broken":    warned("document configs/token-store.json"),
		"token-store-no-tokens": warned("document configs/token-store.json /tokens"),
		"token-truncated":       warned("token-object configs/kiro/cut/cut.json"),
		"usage-cache-truncated": warned("document configs/usage-cache.json"),

		"only-config": {}, "only-pools": {}, "symlink-inside-ok": {},
	}
}

// brokenCases are the fixtures under broken/ but for the unreadable one, each
// with the verdict of EXPECTED.json.
func brokenCases(t *testing.T, fixtures string) []Case {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures, "EXPECTED.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct{ Broken map[string]json.RawMessage }
	if err := json.Unmarshal(data, &expected); err != nil {
		t.Fatal(err)
	}
	var cases []Case
	known := brokenFixtures()
	for name, raw := range expected.Broken {
		if name == "_vocabulary" || name == "unreadable" { // see TestUnreadable
			continue
		}
		var verdict struct {
			Import string `json:"recommended_import"`
		}
		if err := json.Unmarshal(raw, &verdict); err != nil {
			t.Fatal(err)
		}
		b, ok := known[name]
		got := "ok"
		if b.code != "" {
			got = "refuse"
		} else if len(b.notes) > 0 {
			got = "warn"
		}
		if !ok || got != verdict.Import {
			t.Errorf("broken/%s: %s is the verdict, and %s is known here", name, verdict.Import, got)
		}
		root := filepath.Join(fixtures, "broken", name)
		cases = append(cases, Case{
			Name: "broken/" + name, Code: b.code, File: b.file, Says: b.says, Notes: b.notes,
			Dir: func(*testing.T) string { return filepath.Join(root, "configs") },
		})
	}
	if len(cases) != len(known) {
		t.Errorf("%d of %d fixtures under broken/", len(cases), len(known))
	}
	return cases
}
