package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// spawn runs serve in a process of its own, until it is killed.
func (w *world) spawn(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("poolkeeper", "serve", "--addr", "127.0.0.1:0")
	for name, value := range w.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("it does not serve")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return cmd
}

// use counts a use, and tells what was printed.
func (w *world) use(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	return expect(t, w.env, want, "", append([]string{"usage", besideType, besideID}, args...)...)
}

// TestKilledInstance: the socket of a service that was killed is nobody's. The
// commands open the store themselves, with all that the service acknowledged.
func TestKilledInstance(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	for backend, url := range map[string]string{"files": "", "redis": srv.URL()} {
		t.Run(backend, func(t *testing.T) {
			w := newWorld(t, url, "killed:")
			cmd := w.spawn(t)
			w.use(t, 0, "-n", "10")
			expect(t, w.env, 0, "", "provider", "set", besideType, besideID, "customName=Through")
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if info, err := os.Lstat(filepath.Join(w.dir, "state", "poolkeeper.sock")); err != nil || info.Mode().Type() != os.ModeSocket {
				t.Fatalf("it left no socket: %v", err)
			}
			if url == "" { // what is in the journal only is no edit that an import undoes
				if out, _ := expect(t, w.env, 0, "", "import"); !strings.HasSuffix(out, "\n0 changes\n") {
					t.Errorf("import: %s", out)
				}
			}
			out, errOut := w.use(t, 0)
			if !strings.Contains(out, "usageCount 1854") || errOut != "" {
				t.Errorf("%s%s", out, errOut)
			}
			if out, _ := expect(t, w.env, 0, "", "provider", "get", besideType, besideID); !strings.Contains(out, `"Through"`) {
				t.Errorf("the edit is gone: %s", out)
			}
			if out, _ := expect(t, w.env, 0, "", "status"); strings.Contains(out, "instance") {
				t.Errorf("status: %s", out)
			}
			w.spawn(t) // and it starts again in its place
			if out, _ := w.use(t, 0); !strings.Contains(out, "usageCount 1855") {
				t.Errorf("%s", out)
			}
		})
	}
}

// TestDirect: --direct opens the store itself. A directory that is in use refuses
// that, for what changes something.
func TestDirect(t *testing.T) {
	srv := redistest.Start(t)
	files, redis := newWorld(t, "", ""), newWorld(t, srv.URL(), "direct:")
	startService(t, files.env)
	startService(t, redis.env)
	files.use(t, 0)
	_, errOut := files.use(t, poolkeeper.ExitUnavailable, "--direct")
	if !strings.Contains(errOut, "in use by process") || !strings.Contains(errOut, "hint: leave --direct out") {
		t.Errorf("%s", errOut)
	}
	out, errOut := expect(t, files.env, 0, "", "provider", "list", "--direct")
	if !strings.Contains(out, besideID) || !strings.Contains(errOut, "this is what is in the files") {
		t.Errorf("%s%s", out, errOut)
	}
	through, _ := redis.use(t, 0, "--json")
	direct, _ := redis.use(t, 0, "--json", "--direct")
	writer := func(s string) string { return strings.Split(s, "-")[1] }
	if writer(through) == writer(direct) || !strings.Contains(direct, "1845") {
		t.Errorf("%s%s", through, direct)
	}
	if out, _ := expect(t, redis.env, 0, "", "status", "--direct"); strings.Contains(out, "instance") {
		t.Errorf("%s", out)
	}
}

// TestOtherInstances: a command goes through the service that has its store, and
// through no other one, whose directory of state it may share.
func TestOtherInstances(t *testing.T) {
	srv := redistest.Start(t)
	one, two := newWorld(t, "", ""), newWorld(t, srv.URL(), "two:")
	startService(t, one.env)
	startService(t, two.env)
	one.use(t, 0, "-n", "100")
	two.use(t, 0, "-n", "200")
	for w, want := range map[*world]string{one: "1944", two: "2044"} {
		if out, errOut := w.use(t, 0); !strings.Contains(out, want) || errOut != "" {
			t.Errorf("want %s: %s%s", want, out, errOut)
		}
	}
	// In the state directory of the other one, the store is another.
	lost := &world{one.dir, map[string]string{"POOLKEEPER_STATE_DIR": two.env["POOLKEEPER_STATE_DIR"], "POOLKEEPER_CONFIG_DIR": one.env["POOLKEEPER_CONFIG_DIR"]}}
	if _, errOut := lost.use(t, poolkeeper.ExitUnavailable); !strings.Contains(errOut, "in use by process") {
		t.Errorf("%s", errOut)
	}
	out, _ := expect(t, lost.env, 0, "", "status")
	if !strings.Contains(out, "not used: process ") || !strings.Contains(out, "serves another store, redis 127.0.0.1:") || strings.Contains(out, srv.URL()+"@") {
		t.Errorf("%s", out)
	}
	// So it is under another prefix, or in another Redis, by flags.
	if out, _ := expect(t, two.env, 3, "", "usage", besideType, besideID, "--key-prefix", "three:"); out != "" {
		t.Errorf("%s", out)
	}
	_, errOut := expect(t, two.env, 3, "", "usage", besideType, besideID, "--redis-url", "redis://127.0.0.1:1")
	if !strings.Contains(errOut, "cannot be reached") {
		t.Errorf("%s", errOut)
	}
	if out, _ := two.use(t, 0); !strings.Contains(out, "2045") {
		t.Errorf("%s", out)
	}
}

// TestInstanceKeys: a service takes the key that was configured, or the one of the
// state directory. Where a command has neither, it says so and does without.
func TestInstanceKeys(t *testing.T) {
	srv := redistest.Start(t)
	w := newWorld(t, srv.URL(), "keys:")
	const key = "FAKE-configured-key-of-the-service"
	state := w.env["POOLKEEPER_STATE_DIR"]
	w.env["POOLKEEPER_API_KEY"] = key
	startService(t, w.env)
	through := func() bool {
		t.Helper()
		out, errOut := expect(t, w.env, 0, "", "status")
		if strings.Contains(out+errOut, "FAKE-") {
			t.Errorf("a key is printed: %s%s", out, errOut)
		}
		if used := strings.Contains(out, "through "); used || strings.Contains(errOut, "the running instance is not used") {
			return used
		}
		t.Errorf("it does not say why it is not used: %s", errOut)
		return false
	}
	if !through() {
		t.Error("with the key")
	}
	delete(w.env, "POOLKEEPER_API_KEY")
	if through() {
		t.Error("without a key")
	}
	if out, errOut := w.use(t, 0); !strings.Contains(out, "1844") || !strings.Contains(errOut, "there is no key") || !strings.Contains(errOut, "POOLKEEPER_API_KEY_FILE") {
		t.Errorf("%s%s", out, errOut)
	}
	w.env["POOLKEEPER_API_KEY"] = "FAKE-another-key-than-that-of-the-service"
	if through() {
		t.Error("with another key")
	}
	if _, errOut := w.use(t, 0); !strings.Contains(errOut, "does not take the key") {
		t.Errorf("%s", errOut)
	}
	// The kept one comes after the configured one.
	kept := filepath.Join(state, "api-key")
	if err := os.WriteFile(kept, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !through() {
		t.Error("with the key of the state directory")
	}
	if err := os.Chmod(kept, 0o644); err != nil {
		t.Fatal(err)
	}
	if through() {
		t.Error("with a key that others can read")
	}
}

// TestMemoryOfInstance: what a service has in memory is changed through it, and by
// nobody else.
func TestMemoryOfInstance(t *testing.T) {
	w := newWorld(t, "", "")
	_, errOut := w.use(t, poolkeeper.ExitRefused, "--backend", "memory")
	if !strings.Contains(errOut, "memory keeps nothing") {
		t.Errorf("%s", errOut)
	}
	startService(t, w.env, "--backend", "memory")
	w.use(t, 0, "--backend", "memory")
	if out, _ := w.use(t, 0, "--backend", "memory"); !strings.Contains(out, "1845") {
		t.Errorf("%s", out)
	}
	// The directory itself is another store, and nobody has it.
	if out, _ := w.use(t, 0); !strings.Contains(out, "1844") {
		t.Errorf("%s", out)
	}
}

// TestRepairBesideService: the journal of a running service is not repaired.
func TestRepairBesideService(t *testing.T) {
	srv := redistest.Start(t)
	for backend, url := range map[string]string{"files": "", "redis": srv.URL()} {
		w := newWorld(t, url, "repair:")
		s := startService(t, w.env)
		_, errOut := expect(t, w.env, poolkeeper.ExitUnavailable, "", "journal", "repair")
		if !strings.Contains(errOut, fmt.Sprintf("process %d serves the store", os.Getpid())) || !strings.Contains(errOut, "hint: stop it first") {
			t.Errorf("%s: %s", backend, errOut)
		}
		s.stop()
		if code, _, errOut := call(t.Context(), w.env, "", "journal", "repair"); strings.Contains(errOut, "serves") || url == "" && code != 0 {
			t.Errorf("%s, stopped: %d %s", backend, code, errOut)
		}
	}
}

// TestRedisAway: with Redis away a service queues what can wait, and without one a
// write is refused as unavailable. Status says so either way.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	w := newWorld(t, srv.URL(), "away:")
	w.env["REDIS_COMMAND_TIMEOUT"], w.env["REDIS_CONNECT_TIMEOUT"] = "200", "200"
	startService(t, w.env)
	w.use(t, 0)
	srv.Kill()
	if out, _ := w.use(t, 0, "--json"); !strings.Contains(out, `"status": "queued"`) || strings.Contains(out, "usageCount") {
		t.Errorf("through the service: %s", out)
	}
	if out, _ := w.use(t, 0); !strings.HasPrefix(out, "queued") || strings.Contains(out, "usageCount") {
		t.Errorf("through the service: %s", out)
	}
	if _, errOut := w.use(t, poolkeeper.ExitUnavailable, "--direct", "--json"); !strings.Contains(errOut, `"code":"unavailable"`) {
		t.Errorf("directly: %s", errOut)
	}
	for _, flags := range [][]string{{}, {"--direct"}} {
		out, _ := expect(t, w.env, poolkeeper.ExitUnavailable, "", append(flags, "status")...)
		if !strings.Contains(out, "problem") || len(flags) == 0 != strings.Contains(out, "through ") || len(flags) == 0 != strings.Contains(out, "waiting") {
			t.Errorf("%v: %s", flags, out)
		}
	}
}

// TestServeAgain: a second service on a directory that is in use is refused, and
// does not go through the first.
func TestServeAgain(t *testing.T) {
	w := newWorld(t, "", "")
	startService(t, w.env)
	code, _, errOut := call(t.Context(), w.env, "", "serve", "--addr", "127.0.0.1:0")
	if code != poolkeeper.ExitUnavailable || !strings.Contains(errOut, "in use by process") {
		t.Errorf("%d %s", code, errOut)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "state", "poolkeeper.sock")); errors.Is(err, os.ErrNotExist) {
		t.Error("the socket of the first is gone")
	}
}
