package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// listener is somebody who listens on the socket of a state directory.
func (w *world) listener(t *testing.T, mode os.FileMode, serve func(net.Conn)) {
	t.Helper()
	state := w.env["POOLKEEPER_STATE_DIR"]
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "api-key"), []byte("FAKE-key-of-the-state-directory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(state, "poolkeeper.sock")
	ln, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serve(c)
			c.Close()
		}
	}()
}

// TestSocketOfOthers: a socket that others can open may be somebody else's. It is
// not shown the key, and the command does without.
func TestSocketOfOthers(t *testing.T) {
	srv := redistest.Start(t)
	for _, mode := range []os.FileMode{0o666, 0o660, 0o601} {
		w := newWorld(t, srv.URL(), fmt.Sprintf("others%o:", mode))
		var met atomic.Int64
		w.listener(t, mode, func(net.Conn) { met.Add(1) })
		out, errOut := w.use(t, 0)
		if !strings.Contains(out, "1844") || !strings.Contains(errOut, "others can reach it") || !strings.Contains(errOut, "hint: ") {
			t.Errorf("%#o: %s%s", mode, out, errOut)
		}
		if met.Load() != 0 {
			t.Errorf("%#o: it was called", mode)
		}
	}
}

// TestSocketWithoutService: whoever does not answer as a service does is no
// instance, and what is no socket neither.
func TestSocketWithoutService(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	answers := map[string]string{
		"nothing":       "",
		"no HTTP":       "hello\r\n\r\n",
		"another page":  "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p>\n",
		"another error": "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
		"a redirection": "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
	}
	n := 0
	for name, answer := range answers {
		n++
		w := newWorld(t, srv.URL(), fmt.Sprintf("without%d:", n))
		w.listener(t, 0o600, func(c net.Conn) {
			if answer != "" {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, answer)
			}
		})
		out, errOut := w.use(t, 0)
		if !strings.Contains(out, "1844") || !strings.Contains(errOut, "the running instance is not used: ") || strings.Contains(errOut, "FAKE-") {
			t.Errorf("%s: %s%s", name, out, errOut)
		}
	}
	w := newWorld(t, srv.URL(), "file:")
	if err := os.MkdirAll(w.env["POOLKEEPER_STATE_DIR"], 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.env["POOLKEEPER_STATE_DIR"], "poolkeeper.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errOut := w.use(t, 0); !strings.Contains(out, "1844") || errOut != "" {
		t.Errorf("a file: %s%s", out, errOut)
	}
	w.env["POOLKEEPER_STATE_DIR"] = filepath.Join(w.dir, strings.Repeat("long", 30))
	if out, errOut := w.use(t, 0); !strings.Contains(out, "1845") || errOut != "" {
		t.Errorf("a path that no socket can have: %s%s", out, errOut)
	}
}

// TestSocketOfAnotherUser runs a command as a user who may not reach the socket.
func TestSocketOfAnotherUser(t *testing.T) {
	srv := redistest.Start(t)
	base, err := os.MkdirTemp("", "poolkeeper-user-") // others can go there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, srv.URL(), "user:")
	w.env["POOLKEEPER_STATE_DIR"] = base
	startService(t, w.env)
	program, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(base, "poolkeeper"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(base, "poolkeeper"), "usage", besideType, besideID)
	cmd.Dir = "/"
	for name, value := range w.env {
		if name != "POOLKEEPER_CONFIG_DIR" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else if err := os.Chmod(filepath.Join(base, "poolkeeper.sock"), 0); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "belongs to another user") || !strings.Contains(string(out), "usageCount 1844") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestForgedSocket: root can connect to any socket, and shows its key to none that
// somebody else has put into the state directory.
func TestForgedSocket(t *testing.T) {
	if os.Getuid() != 0 {
		return // nobody else can be led there: the socket refuses
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "poolkeeper.sock")
	ln, err := net.Listen("unix", path)
	if err == nil {
		err = errors.Join(os.Chmod(path, 0o600), os.Chown(path, 65534, 65534))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if there, err := listens(path); there || !errors.Is(err, poolkeeper.ErrForbidden) {
		t.Errorf("the socket of another user: %v, %v", there, err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil { // whom the directory is trusted to
		t.Fatal(err)
	}
	if there, err := listens(path); !there || err != nil {
		t.Errorf("the socket of the owner of the directory: %v, %v", there, err)
	}
}
