package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

const (
	besideType = "claude-kiro-oauth"
	besideID   = "ab226ca1-2651-430f-a1f0-85aa0228e36e"
)

// A line is a command with what it is given.
type line struct {
	args  []string
	stdin string
}

func typed(stdin string, args ...string) line { return line{args, stdin} }

// besideLines are all commands that need a store, in an order in which each has
// something to do. OUT is a directory of the run, FILE a merge patch.
var besideLines = []line{
	typed("", "provider", "list"),
	typed("", "provider", "list", "--json"),
	typed("", "provider", "list", besideType, "--json", "--reveal"),
	typed("", "provider", "list", "no-such-type"),
	typed("", "provider", "get", besideType, besideID),
	typed("", "provider", "get", besideType, besideID, "--definition", "--reveal"),
	typed("", "provider", "get", besideType, "no-such-id"),
	typed(`{"uuid":"new-one","customName":"New","apiKey":"FAKE-of-the-test"}`, "provider", "add", "openai-custom"),
	typed(`{"uuid":"new-one"}`, "provider", "add", "openai-custom", "--json"),
	typed(`{"uuid":`, "provider", "add", "openai-custom", "--json"),
	typed("", "provider", "set", "openai-custom", "new-one", "customName=Blue", "n=1.50"),
	typed("", "provider", "set", "openai-custom", "new-one", "usageCount=1"),
	typed(`{"customName":null}`, "provider", "set", "openai-custom", "new-one", "--merge", "-"),
	typed("", "provider", "disable", "openai-custom", "new-one"),
	typed("", "provider", "enable", "openai-custom", "new-one", "--json"),
	typed("", "usage", "openai-custom", "new-one", "-n", "7"),
	typed("", "usage", "openai-custom", "new-one", "--json"),
	typed("", "usage", "openai-custom", "no-such-id"),
	typed("", "usage", "openai-custom", "no-such-id", "--json"),
	typed("", "error", "openai-custom", "new-one", "--message", "429"),
	typed("", "error", "openai-custom", "new-one", "--unhealthy", "--json"),
	typed("", "success", "openai-custom", "new-one", "-n", "2", "--model", "m"),
	typed("", "provider", "reset", "openai-custom", "new-one", "--usage"),
	typed("", "provider", "rename", "openai-custom", "new-one", "newer"),
	typed("", "provider", "get", "openai-custom", "new-one"),
	typed("", "provider", "rm", "openai-custom", "newer"),
	typed("", "provider", "rm", "openai-custom", "newer"),
	typed("", "token", "get", besideType, besideID),
	typed("", "token", "get", besideType, besideID, "--reveal"),
	typed(`{"access_token":"FAKE-of-the-test","expires_at":1}`, "token", "set", besideType, besideID),
	typed(`{`, "token", "set", besideType, besideID),
	typed("", "token", "get", "openai-custom", "no-such-id"),
	typed("", "config", "get"),
	typed("", "config", "get", "MAX_ERROR_COUNT"),
	typed("", "config", "get", "NOTHING"),
	typed("", "config", "set", "MAX_ERROR_COUNT=11"),
	typed("", "config", "set", "--merge", "FILE", "--json"),
	typed(`[{"op":"test","path":"/HOST","value":"nobody"}]`, "config", "set", "--json-patch", "-"),
	typed("", "doc", "list"),
	typed("", "doc", "list", "--json"),
	typed("", "doc", "get", "plugins.json"),
	typed(`{"a":[]}`, "doc", "set", "notes.json", "--file", "-"),
	typed("", "doc", "set", "notes.json", "a=null"),
	typed("", "doc", "get", "notes.json", "--reveal"),
	typed("", "doc", "rm", "notes.json"),
	typed("", "doc", "get", "notes.json"),
	typed("correct horse battery\n", "password", "set"),
	typed("short\n", "password", "set"),
	typed("", "verify", "--content-only"),
	typed("", "export", "--output-dir", "OUT"),
	typed("", "export", "--output-dir", "OUT", "--json"),
	typed("", "verify", "--config-dir", "OUT", "--json"),
	typed("", "import", "--config-dir", "OUT", "--dry-run"),
	typed("", "import"),
	typed("", "import", "--json"),
	typed("", "import", "--mirror", "--force", "--json"),
	typed("", "verify"),
	typed("", "token", "rm", besideType, besideID),
	typed("", "verify"),
	typed("", "init"),
	typed("", "init", "--json"),
	typed("", "journal", "list"),
}

// notBeside are the commands that a service is nothing to, and those that have a
// test of their own beside one: status, watch, recover, and those on the journal.
var notBeside = []string{"serve", "bench", "version", "completion", "man", "status", "journal repair", "journal retry", "journal discard", "watch", "recover"}

// TestBesideCoversCommands: a command that is added is in the lists.
func TestBesideCoversCommands(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range besideLines {
		for n := 1; n <= min(2, len(l.args)); n++ {
			seen[strings.Join(l.args[:n], " ")] = true
		}
	}
	for _, cmd := range everyCommand() {
		if path := pathOf(cmd); !seen[path] && !slices.Contains(notBeside, path) {
			t.Errorf("%s is not run beside a service", path)
		}
	}
}

// everyCommand returns all commands that do something, but for those of cobra.
func everyCommand() []*cobra.Command {
	var all []*cobra.Command
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Name() == "help" || cmd.Hidden {
			return
		}
		if !cmd.HasSubCommands() {
			all = append(all, cmd)
		}
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit((&app{}).root())
	return all
}

// pathOf is a command without the name of the program.
func pathOf(cmd *cobra.Command) string {
	_, path, _ := strings.Cut(cmd.CommandPath(), " ")
	return path
}

// A world is a store with what belongs to it.
type world struct {
	dir string
	env map[string]string
}

// newWorld has a copy of the typical fixture as its store, in Redis where there is
// a URL.
func newWorld(t *testing.T, redisURL, prefix string) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	for _, to := range []string{"store", "given"} { // what is imported is no store
		if err := os.CopyFS(filepath.Join(w.dir, to), os.DirFS(filepath.Join(fixtures(t), "typical"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(w.dir, "patch"), []byte(`{"MORE":1e3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = map[string]string{"POOLKEEPER_STATE_DIR": filepath.Join(w.dir, "state"), "POOLKEEPER_CONFIG_DIR": filepath.Join(w.dir, "store", "configs")}
	if redisURL != "" {
		w.env["REDIS_URL"], w.env["REDIS_KEY_PREFIX"] = redisURL, prefix
		w.env["POOLKEEPER_CONFIG_DIR"] = filepath.Join(w.dir, "given", "configs")
		expect(t, w.env, 0, "", "import")
	}
	return w
}

var changing = regexp.MustCompile(`\b\d+-[0-9a-f]{8,}-\d+\b|20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z|\b17\d{11}\b`)

// run runs a command, and returns what it printed without what differs from world
// to world.
func (w *world) run(t *testing.T, l line) (code int, stdout, stderr string) {
	t.Helper()
	args := slices.Clone(l.args)
	for i := range args {
		args[i] = strings.NewReplacer("OUT", filepath.Join(w.dir, "out", "configs"), "FILE", filepath.Join(w.dir, "patch")).Replace(args[i])
	}
	code, stdout, stderr = call(t.Context(), w.env, l.stdin, args...)
	plain := func(s string) string {
		s = strings.ReplaceAll(s, w.dir, "DIR")
		if p := w.env["REDIS_KEY_PREFIX"]; p != "" {
			s = strings.ReplaceAll(s, p, "PREFIX")
		}
		return changing.ReplaceAllString(s, "0")
	}
	return code, plain(stdout), plain(stderr)
}

// TestBesideService runs every command twice, with the store to itself and beside
// a service that has it: both do and print the same. Nothing of it holds a secret.
func TestBesideService(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	for backend, url := range map[string]string{"files": "", "redis": srv.URL()} {
		t.Run(backend, func(t *testing.T) {
			alone, beside := newWorld(t, url, "alone:"), newWorld(t, url, "beside:")
			s := startService(t, beside.env)
			for _, l := range besideLines {
				code, stdout, stderr := alone.run(t, l)
				code2, stdout2, stderr2 := beside.run(t, l)
				journal := l.args[0] == "journal"                                                                     // of its length nothing is known
				if code != code2 && !(journal && url != "") || !journal && (stdout != stdout2 || stderr != stderr2) { // of a Redis only a service has a journal
					t.Errorf("%q: exit codes %d and %d\n%s\n%s", l.args, code, code2, cmp.Diff(stdout, stdout2), cmp.Diff(stderr, stderr2))
				}
				if strings.Contains(stdout2+stderr2, s.key) {
					t.Errorf("%q prints the key of the service", l.args)
				}
				if strings.Contains(stderr2, "FAKE-of-the-test") {
					t.Errorf("%q prints a secret: %s", l.args, stderr2)
				}
			}
			if strings.Contains(s.errOut.String(), "FAKE-of-the-test") {
				t.Errorf("the service logs a secret: %s", s.errOut)
			}
			if code := s.stop(); code != 0 {
				t.Errorf("exit code %d: %s", code, s.errOut)
			}
			// Both stores are the same in the end.
			ends := [2]map[string][]byte{}
			for i, w := range []*world{alone, beside} {
				out := filepath.Join(w.dir, "end", "configs")
				expect(t, w.env, 0, "", "export", "--output-dir", out)
				ends[i] = tree(t, filepath.Dir(out))
				for p, data := range ends[i] {
					ends[i][p] = changing.ReplaceAll(data, []byte("X"))
				}
				delete(ends[i], "configs/pwd") // salted
			}
			if !slices.Equal(slices.Sorted(maps.Keys(ends[0])), slices.Sorted(maps.Keys(ends[1]))) {
				t.Errorf("files:\n%v\n%v", slices.Sorted(maps.Keys(ends[0])), slices.Sorted(maps.Keys(ends[1])))
			}
			for p := range ends[0] {
				if diff := cmp.Diff(string(ends[0][p]), string(ends[1][p])); diff != "" {
					t.Errorf("%s:\n%s", p, diff)
				}
			}
		})
	}
}

// TestStatusBesideService: status names the process that it went through, and a
// write is that process's.
func TestStatusBesideService(t *testing.T) {
	srv := redistest.Start(t)
	for backend, url := range map[string]string{"files": "", "redis": srv.URL()} {
		t.Run(backend, func(t *testing.T) {
			w := newWorld(t, url, "status:")
			type status struct {
				Store    poolkeeper.Info
				Instance *struct {
					PID                    int
					Address, Socket, Store string
					Used                   bool
				}
			}
			read := func(args ...string) (st status) {
				t.Helper()
				out, _ := expect(t, w.env, 0, "", append([]string{"status", "--json"}, args...)...)
				if err := json.Unmarshal([]byte(out), &st); err != nil {
					t.Fatal(err)
				}
				return st
			}
			if in := read().Instance; in != nil {
				t.Errorf("without a service: %+v", in)
			}
			s := startService(t, w.env)
			st := read()
			if in := st.Instance; in == nil || !in.Used || in.PID != os.Getpid() || in.Address != s.url || in.Socket != filepath.Join(w.dir, "state", "poolkeeper.sock") || in.Store == "" {
				t.Fatalf("with a service: %+v", in)
			}
			if _, there := st.Store.Details["service"]; there || !st.Store.Ready {
				t.Errorf("%+v", st.Store)
			}
			out, _ := expect(t, w.env, 0, "", "status")
			if !strings.Contains(out, s.url+", through "+st.Instance.Socket) {
				t.Errorf("in words: %s", out)
			}
			out, _ = expect(t, w.env, 0, "", "usage", besideType, besideID, "--json")
			if !strings.Contains(out, "-"+st.Store.Writer+"-") {
				t.Errorf("%s was not written by %s", out, st.Store.Writer)
			}
		})
	}
}
