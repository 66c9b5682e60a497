package transfer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// TestGateway starts the gateway on an export, as far as credentials go: it
// finds each that it found in the original, and no file that it did not have
// there.
func TestGateway(t *testing.T) {
	type refs struct {
		Refs struct {
			File    []string `json:"file"`
			Beside  []string `json:"inside_root_outside_configs"`
			Missing []string `json:"missing"`
		} `json:"token_refs"`
		Unreferenced []string `json:"unreferenced_files"`
	}
	for _, name := range []string{"typical", "typical-jan2026", "edge"} {
		t.Run(name, func(t *testing.T) {
			want, left := dirtest.Gateway(t, filepath.Dir(dirtest.Configs(name)))
			st := imported(t, dirtest.Configs(name))
			out, report := write(t, snapshot(t, st))
			got, extra := dirtest.Gateway(t, filepath.Dir(out))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("credentials (-original +export):\n%s", diff)
			}
			if diff := cmp.Diff(left, extra); diff != "" {
				t.Errorf("files beside them (-original +export):\n%s", diff)
			}
			// The checker itself finds what EXPECTED.json says.
			facts := dirtest.Expected[refs](t, name)
			for _, ref := range append(facts.Refs.File, facts.Refs.Beside...) {
				if field, _, _ := strings.Cut(ref, " = "); !strings.HasPrefix(got[field], "file ") {
					t.Errorf("%s: %q", field, got[field])
				}
			}
			for _, ref := range facts.Refs.Missing {
				if field, _, _ := strings.Cut(ref, " = "); got[field] != "missing" {
					t.Errorf("%s: %q", field, got[field])
				}
			}
			for _, p := range extra {
				if !strings.Contains(strings.Join(facts.Unreferenced, " "), p) {
					t.Errorf("%s is one file too many", p)
				}
			}
			if name == "typical" && (len(extra) != 0 || len(report.Warnings) != 0 || report.TokenFiles != 10) {
				t.Errorf("%d token files, beside them %q, warnings %v", report.TokenFiles, extra, report.Warnings)
			}
		})
	}
}

// TestGatewayCompanions has the directories in which one file more or less makes
// another credential.
func TestGatewayCompanions(t *testing.T) {
	files := map[string]string{
		"configs/provider_pools.json": `{"claude-kiro-oauth":[
			{"uuid":"a","KIRO_OAUTH_CREDS_FILE_PATH":"./configs/kiro/sso/kiro-auth-token.json"},
			{"uuid":"b","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/flat-b.json"},
			{"uuid":"c","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/flat-c.json"},
			{"uuid":"d","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/gone/../sso/kiro-auth-token.json"},
			{"uuid":"e","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/sso/../flat-b.json"}],
			"openai-codex-oauth":[{"uuid":"x","CODEX_EMAIL":"x@example.org"},{"uuid":"y"}],
			"openai-qwen-oauth":[{"uuid":"q","QWEN_OAUTH_CREDS_FILE_PATH":"configs/qwen/gone/../q.json"}]}`,
		"configs/config.json":                            `{"KIRO_OAUTH_CREDS_FILE_PATH":"./global.json","GEMINI_OAUTH_CREDS_FILE_PATH":"configs/gemini/g.json"}`,
		"configs/kiro/sso/kiro-auth-token.json":          `{"accessToken":"1","clientIdHash":"h","expiresAt":"2030-01-01T00:00:00.000Z"}`,
		"configs/kiro/sso/0123.json":                     `{"clientId":"2","clientSecret":"3","expiresAt":"2020-01-01T00:00:00.000Z"}`,
		"configs/kiro/sso/readme.txt":                    `no json`,
		"configs/kiro/flat-a.json":                       `{"clientId":"a"}`,
		"configs/kiro/flat-b.json":                       `{"accessToken":"b"}`,
		"configs/kiro/flat-c.json":                       `{"accessToken":"c"}`,
		"configs/codex/1_codex-x@example.org_creds.json": `{"n":1}`,
		"configs/codex/2_codex-x@example.org_creds.json": `{"n":2}`,
		"configs/codex/3_codex-default.json":             `{"n":3}`,
		"configs/qwen/q.json":                            `{"access_token":"q"}`,
		"global.json":                                    `{"accessToken":"global"}`,
		"configs/gemini/g.json":                          `{"access_token":"g"}`,
	}
	source := dirtest.WriteTree(t, files)
	want, left := dirtest.Gateway(t, filepath.Dir(source))
	st := imported(t, source)
	out, _ := write(t, snapshot(t, st))
	got, extra := dirtest.Gateway(t, filepath.Dir(out))
	// The one path that leads nowhere in the original does not in an export.
	const nowhere = "claude-kiro-oauth[3].KIRO_OAUTH_CREDS_FILE_PATH"
	if want[nowhere] != "missing" || got[nowhere] != got["claude-kiro-oauth[0].KIRO_OAUTH_CREDS_FILE_PATH"] {
		t.Errorf("%q, and in the export %q", want[nowhere], got[nowhere])
	}
	delete(want, nowhere)
	delete(got, nowhere)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("credentials (-original +export):\n%s", diff)
	}
	if diff := cmp.Diff(left, extra, cmpopts.EquateEmpty()); diff != "" || len(got) != 9 {
		t.Errorf("%d credentials, files beside them (-original +export):\n%s", len(got), diff)
	}

	// A token that has no file yet gets one by itself: nobody else's credential
	// becomes another one.
	for i, typ := range []string{"claude-kiro-oauth", "gemini-cli-oauth", "openai-codex-oauth"} {
		r, err := st.AddProvider(context.Background(), typ, fmt.Appendf(nil, `{"uuid":"new-%d"}`, i))
		if err != nil {
			t.Fatal(err)
		}
		ref := poolkeeper.Ref{Type: typ, ID: r.ID}
		if _, err := st.PutToken(context.Background(), ref, []byte(`{"accessToken":"new"}`), poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
	}
	out, _ = write(t, snapshot(t, st))
	now, extra := dirtest.Gateway(t, filepath.Dir(out))
	for where, content := range got {
		if now[where] != content {
			t.Errorf("%s is now %s", where, now[where])
		}
	}
	for _, where := range []string{"claude-kiro-oauth[5].KIRO_OAUTH_CREDS_FILE_PATH", "gemini-cli-oauth[0].GEMINI_OAUTH_CREDS_FILE_PATH", "openai-codex-oauth[2].CODEX_OAUTH_CREDS_FILE_PATH"} {
		if !strings.HasPrefix(now[where], "file "+dirtest.Sum(`{"accessToken":"new"}`)) {
			t.Errorf("%s is %q", where, now[where])
		}
	}
	if diff := cmp.Diff(left, extra, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("files beside them (-original +export):\n%s", diff)
	}
}

// TestGatewaySteps has token paths that go up again out of directories with
// nothing in them to carry, out of the root and back, and below a link.
func TestGatewaySteps(t *testing.T) {
	source := dirtest.WriteTree(t, map[string]string{
		"configs/provider_pools.json": `{"claude-kiro-oauth":[
			{"uuid":"a","KIRO_OAUTH_CREDS_FILE_PATH":"configs/kiro/empty/../a.json"},
			{"uuid":"b","KIRO_OAUTH_CREDS_FILE_PATH":"./configs/kiro/one/two/../../a.json"},
			{"uuid":"c","KIRO_OAUTH_CREDS_FILE_PATH":"beside/../configs/kiro/a.json"},
			{"uuid":"d","KIRO_OAUTH_CREDS_FILE_PATH":"configs/../configs/temp/../kiro/\u002e\u002e/kiro/a.json"}]}`,
		"configs/kiro/a.json": `{"accessToken":"a"}`,
		"configs/temp/x":      "left out",
	})
	root := filepath.Dir(source)
	for _, dir := range []string{"configs/kiro/empty", "configs/kiro/one/two", "beside"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	want, _ := dirtest.Gateway(t, root)
	out, report := write(t, snapshot(t, imported(t, source)))
	got, _ := dirtest.Gateway(t, filepath.Dir(out))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("credentials (-original +export):\n%s", diff)
	}
	for where, content := range got {
		if !strings.HasPrefix(content, "file ") {
			t.Errorf("%s: %s", where, content)
		}
	}
	if report.TokenFiles != 1 || len(got) != 4 {
		t.Errorf("%d token files, %d credentials", report.TokenFiles, len(got))
	}
}
