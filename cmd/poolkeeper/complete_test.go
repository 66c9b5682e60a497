package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// complete asks for candidates as the scripts of the shells do.
func complete(t *testing.T, env map[string]string, args ...string) (words []string, directive string) {
	t.Helper()
	code, out, errOut := call(t.Context(), env, "", append([]string{"__complete"}, args...)...)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	directive = lines[len(lines)-1]
	// cobra itself says what the directive means; nothing else is said.
	if code != 0 || !strings.HasPrefix(directive, ":") || strings.Count(errOut, "\n") > 1 || !strings.HasPrefix(errOut, "Completion ended with directive: ") {
		t.Fatalf("%q: exit code %d\n%s%s", args, code, out, errOut)
	}
	return lines[:len(lines)-1], directive
}

const (
	noFiles    = ":4"
	noSpace    = ":6"
	fileNames  = ":0"
	onlyDirs   = ":16"
	typicalDoc = "plugins.json"
)

// TestComplete completes arguments and flags from each kind of store, and through
// a service. No secret of the store is in what is offered.
func TestComplete(t *testing.T) {
	srv := redistest.Start(t)
	secrets := secretsOf(t, filepath.Join(fixtures(t), "typical"))
	for _, c := range []struct {
		name, url string
		serve     bool
	}{{"files", "", false}, {"redis", srv.URL(), false}, {"files through a service", "", true}, {"redis through a service", srv.URL(), true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.url, "complete:")
			defer srv.FlushAll()
			if c.serve {
				startService(t, w.env)
			}
			before := watch(t, filepath.Join(w.dir, "store"))
			for _, r := range []struct {
				directive string
				has, not  []string
				args      []string
			}{
				{noFiles, []string{"claude-kiro-oauth\t3 providers", "openai-custom\t1 provider", "forward-api\t0 providers"}, nil, []string{"provider", "get", ""}},
				{noFiles, []string{"claude-kiro-oauth\t3 providers", "claude-custom\t1 provider"}, []string{"openai-custom"}, []string{"usage", "claude"}},
				{noFiles, []string{besideID + "\tKiro 主号 ①, healthy"}, nil, []string{"usage", besideType, ""}},
				{noFiles, []string{besideID + "\tKiro 主号 ①, healthy"}, []string{"bfcc3d0f"}, []string{"token", "get", besideType, "ab"}},
				{noFiles, nil, []string{besideID}, []string{"provider", "rename", besideType, besideID, ""}},
				{noFiles, nil, []string{besideID}, []string{"provider", "get", "no-such-type", ""}},
				{noFiles, nil, []string{besideID}, []string{"provider", "get", besideType, besideID, ""}},
				{noFiles, []string{"claude-kiro-oauth\t3 providers"}, nil, []string{"provider", "list", ""}},
				{noFiles, []string{"claude-kiro-oauth\t3 providers"}, nil, []string{"provider", "add", "--file", "x", ""}},
				{noFiles, []string{"MAX_ERROR_COUNT", "REQUIRED_API_KEY"}, nil, []string{"config", "get", ""}},
				{noSpace, []string{"MAX_ERROR_COUNT="}, []string{"REQUIRED"}, []string{"config", "set", "HOST=a", "MAX_E"}},
				{noFiles, nil, []string{"HOST"}, []string{"config", "set", "HOST="}},
				{noSpace, []string{"customName="}, nil, []string{"provider", "set", besideType, besideID, ""}},
				{noFiles, []string{typicalDoc}, nil, []string{"doc", "get", ""}},
				{noSpace, nil, nil, []string{"doc", "set", typicalDoc, ""}},
				{noFiles, []string{"redis", "file", "memory", "auto"}, nil, []string{"status", "--backend", ""}},
				{noFiles, []string{"debug"}, nil, []string{"status", "--log-level", "d"}},
				{onlyDirs, nil, nil, []string{"export", "--output-dir", ""}},
				{onlyDirs, nil, nil, []string{"status", "--config-dir", ""}},
				{onlyDirs, nil, nil, []string{"man", ""}},
				{fileNames, nil, nil, []string{"config", "set", "--file", ""}},
				{noFiles, nil, nil, []string{"usage", besideType, besideID, "-n", ""}},
				{noFiles, nil, nil, []string{"status", "--redis-url", ""}},
				{noFiles, shells, nil, []string{"completion", ""}},
				{noFiles, nil, nil, []string{"status", ""}},
				{noFiles, []string{"provider\tLook at and edit the providers of the pools"}, nil, []string{"prov"}},
				{noFiles, []string{"--reveal\tprint secrets too"}, nil, []string{"config", "get", "--rev"}},
			} {
				words, directive := complete(t, w.env, r.args...)
				if directive != r.directive {
					t.Errorf("%q: directive %s, want %s", r.args, directive, r.directive)
				}
				for _, want := range r.has {
					if !slices.ContainsFunc(words, func(s string) bool { return s == want || strings.HasPrefix(s, want+"\t") }) {
						t.Errorf("%q: %q is not in\n%s", r.args, want, strings.Join(words, "\n"))
					}
				}
				all := strings.Join(words, "\n")
				for _, bad := range append(r.not, secrets...) {
					if strings.Contains(all, bad) {
						t.Errorf("%q: %q is in\n%s", r.args, bad, all)
					}
				}
			}
			if after := watch(t, filepath.Join(w.dir, "store")); after != before {
				t.Errorf("it changed the directory:\n%s\n%s", before, after)
			}
			if _, err := os.Stat(filepath.Join(w.dir, "state")); err == nil && !c.serve {
				t.Error("it made a state directory")
			}
		})
	}
}

// TestCompleteIsSafe: what a shell would take for something else is not offered, and
// nothing is where there is no store.
func TestCompleteIsSafe(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	env := map[string]string{"REDIS_URL": srv.URL(), "HOME": t.TempDir()}
	expect(t, env, 0, "", "init")
	for _, id := range []string{"plain", "$(touch x)", "a b", "`x`", "x;y", "a'b", `a\"b`, "x\\ty", "\\u001b[31m", "*", "日本"} {
		expect(t, env, 0, `{"uuid":"`+id+`","customName":"a\tb\n\u001b[31mc"}`, "provider", "add", "t")
	}
	words, _ := complete(t, env, "usage", "t", "")
	if want := []string{`plain` + "\t" + `"a\tb\n\x1b[31mc", healthy`, `日本` + "\t" + `"a\tb\n\x1b[31mc", healthy`}; !slices.Equal(words, want) {
		t.Errorf("%q, want %q", words, want)
	}
	// A server that takes connections and says nothing, one that is not there, and
	// settings that are wrong.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, url := range []string{"redis://" + silent.Addr().String(), "redis://127.0.0.1:1", "FAKE://wrong"} {
		env["REDIS_URL"] = url
		began := time.Now()
		if words, directive := complete(t, env, "usage", ""); len(words) > 0 || directive != noFiles {
			t.Errorf("%s: %q %s", url, words, directive)
		}
		t.Logf("%s: %v", url, time.Since(began))
	}
	env = map[string]string{"POOLKEEPER_CONFIG_DIR": filepath.Join(t.TempDir(), "nowhere"), "HOME": t.TempDir()}
	if words, _ := complete(t, env, "usage", ""); len(words) > 0 {
		t.Errorf("%q", words)
	}
}

// TestCompletionScripts: there is a script for each shell, and that of bash
// completes in one.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, shell := range shells {
		out, errOut := expect(t, nil, 0, "", "completion", shell)
		if !strings.Contains(out, "poolkeeper") || !strings.Contains(out, "__complete") || errOut != "" {
			t.Errorf("%s: %s", shell, errOut)
		}
		if err := os.WriteFile(filepath.Join(dir, shell), []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "ksh"}, {"completion", "bash", "zsh"}} {
		if _, errOut := expect(t, nil, 2, "", args...); !strings.Contains(errOut, "hint: ") {
			t.Errorf("%q: %s", args, errOut)
		}
	}
	// What bash-completion does for the script, and what readline tells it.
	const session = `
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; }
compopt() { :; }
. "$1"
ask() {
	COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMPREPLY=()
	__start_poolkeeper
	printf '%s\n' "${COMPREPLY[@]}" --
}
ask poolkeeper provider ge
ask poolkeeper usage claude-kiro-oauth ab
ask poolkeeper status --backend me
`
	w := newWorld(t, "", "")
	cmd := exec.CommandContext(t.Context(), "bash", "--norc", "-c", session, "bash", filepath.Join(dir, "bash"))
	cmd.Env = append(os.Environ(), "POOLKEEPER_STATE_DIR="+w.env["POOLKEEPER_STATE_DIR"], "POOLKEEPER_CONFIG_DIR="+w.env["POOLKEEPER_CONFIG_DIR"], "REDIS_URL=")
	out, err := cmd.CombinedOutput()
	if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, []string{"get", "--", besideID, "--", "memory", "--"}) {
		t.Errorf("%v: %s", err, out)
	}
}
