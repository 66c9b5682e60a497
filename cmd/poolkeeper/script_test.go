package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/poolkeeper/poolkeeper/server"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"poolkeeper": func() {
		code := command()
		notePeak()
		os.Exit(code)
	}})
}

// fixtures is the absolute path of the test data.
func fixtures(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../testdata/fixtures")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestScripts runs the scripts, each on a key prefix of its own of one Redis.
// A script that needs none unsets REDIS_URL.
func TestScripts(t *testing.T) {
	scripts(t, func(*testscript.Env, *redistest.Server) error { return nil })
}

// TestScriptsThroughInstance runs the same scripts beside a service that has the
// store of the script from before its first command.
func TestScriptsThroughInstance(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	t.Run("scripts", func(t *testing.T) {
		scripts(t, func(env *testscript.Env, _ *redistest.Server) error { return serveScript(t, env, &requests) })
	})
	if n := requests.Load(); n < 150 {
		t.Errorf("only %d requests went through it", n)
	}
}

// serveScript serves the store of a script, initialised or not, on the socket of
// its state directory.
func serveScript(t *testing.T, env *testscript.Env, requests *atomic.Int64) error {
	if filepath.Base(env.WorkDir) == "script-serve" {
		return nil // which starts its own
	}
	state, err := os.MkdirTemp("", "pk") // short enough for a socket
	if err != nil {
		return err
	}
	env.Defer(func() { os.RemoveAll(state) })
	env.Setenv("POOLKEEPER_STATE_DIR", state)
	set, err := settings.Resolve(settings.Input{Env: func(name string) (string, bool) { v := env.Getenv(name); return v, v != "" }})
	if err != nil {
		return err
	}
	place, err := open.Place(set)
	if err != nil {
		return err
	}
	key, err := apiKey(set)
	if err != nil {
		return err
	}
	st, err := open.Store(t.Context(), set, nil)
	if err != nil {
		return err
	}
	ln, err := server.ListenSocket(filepath.Join(state, server.SocketName))
	if err != nil {
		return err
	}
	h := server.New(st, &server.Options{Key: key.secret.Reveal(), Instance: server.Instance{PID: os.Getpid(), Address: "http://127.0.0.1:1", Store: place}}).Handler()
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/instance" {
			requests.Add(1)
		}
		h.ServeHTTP(w, r)
	})}
	go func() { _ = hs.Serve(ln) }()
	env.Defer(func() {
		hs.Close()
		st.Close()
	})
	return nil
}

func scripts(t *testing.T, beside func(*testscript.Env, *redistest.Server) error) {
	srv := redistest.Start(t)
	dir := fixtures(t)
	var scripts atomic.Int64
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("REDIS_URL", srv.URL())
			env.Setenv("REDIS_KEY_PREFIX", fmt.Sprintf("script%d:", scripts.Add(1)))
			env.Setenv("FIXTURES", dir)
			env.Setenv("POOLKEEPER_LOG_FORMAT", "json")
			// A program with the race detector sleeps for a second at its end.
			env.Setenv("GORACE", "atexit_sleep_ms=20 "+os.Getenv("GORACE"))
			return errors.Join(os.Mkdir(home, 0o700), beside(env, srv))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"sets":  sets,
			"fork":  fork(srv),
			"dump":  dump(srv),

			"journal": makeJournal,
			"backlog": makeBacklog,
			"flip":    flipByte,
			"hold":    holdJournal,
		},
	})
}

// exits CODE ARGS... runs poolkeeper and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	// A command that hangs fails the script that it hangs in, and soon.
	switch err := ts.Exec("timeout", append([]string{"60", "poolkeeper"}, args[1:]...)...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	default:
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// sets NAME takes the last word of stdout into an environment variable.
func sets(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sets NAME")
	}
	words := strings.Fields(ts.ReadFile("stdout"))
	if len(words) == 0 {
		ts.Fatalf("stdout is empty")
	}
	ts.Setenv(args[0], words[len(words)-1])
}

// fork PREFIX makes keys as a fork of the gateway leaves them.
func fork(srv *redistest.Server) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: fork PREFIX")
		}
		cmds, err := forkCommands(args[0])
		ts.Check(err)
		for _, cmd := range cmds {
			if _, err := srv.Do(cmd...); err != nil {
				ts.Fatalf("%s: %v", cmd[0], err)
			}
		}
	}
}

// dump PREFIX FILE writes what there is under a prefix.
func dump(srv *redistest.Server) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: dump PREFIX FILE")
		}
		var lines []string
		for k, v := range srv.Dump() {
			if strings.HasPrefix(k, args[0]) {
				lines = append(lines, k+" "+v+"\n")
			}
		}
		slices.Sort(lines)
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Join(lines, "")), 0o600))
	}
}

// call runs the program in this process.
func call(ctx context.Context, env map[string]string, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errOut strings.Builder
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	code = run(ctx, args, environ, strings.NewReader(stdin), &out, &errOut)
	return code, out.String(), errOut.String()
}
