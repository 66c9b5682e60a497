package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/poolkeeper/poolkeeper"
)

// A terminal is one that a test looks at.
type terminal struct {
	*os.File // what a program has
	seen     chan []byte
}

// openTerminal opens a pseudo terminal, that does nothing to what is written.
func openTerminal(t *testing.T) *terminal {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var n, unlock uint32
	ioctl := func(what uintptr, arg *uint32) {
		t.Helper()
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, control.Fd(), what, uintptr(unsafe.Pointer(arg))); errno != 0 {
			t.Fatal(errno)
		}
	}
	ioctl(syscall.TIOCSPTLCK, &unlock)
	ioctl(syscall.TIOCGPTN, &n)
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{side, make(chan []byte, 1)}
	go func() {
		all, _ := io.ReadAll(control) // ends with an error once the other side is closed
		control.Close()
		term.seen <- all
	}()
	t.Cleanup(func() { side.Close() })
	return term
}

// text closes the terminal, and returns what was written.
func (term *terminal) text() string {
	term.Close()
	return strings.ReplaceAll(string(<-term.seen), "\r\n", "\n")
}

// TestTerminal: progress is shown on a terminal and nowhere else, and no output has
// colours, on a terminal neither.
func TestTerminal(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
	}{{"colours allowed", []string{"TERM=xterm-256color", "COLORTERM=truecolor", "CLICOLOR_FORCE=1"}}, {"NO_COLOR", []string{"TERM=xterm-256color", "NO_COLOR=1"}}, {"no terminal type", []string{"TERM=dumb"}}} {
		w := newWorld(t, standalone(t).url, "terminal:")
		environ := c.env
		for name, value := range w.env {
			environ = append(environ, name+"="+value)
		}
		shown := func(args ...string) (stdout, stderr string) {
			t.Helper()
			out, errOut := openTerminal(t), openTerminal(t)
			if code := run(t.Context(), args, environ, strings.NewReader(""), out.File, errOut.File); code > poolkeeper.ExitUsage {
				t.Errorf("%q: exit code %d", args, code)
			}
			return out.text(), errOut.text()
		}
		out := filepath.Join(w.dir, "out", "configs")
		for _, args := range [][]string{
			{"--help"}, {"import", "--help"}, {"provider", "list"}, {"config", "get"}, {"status"}, {"import", "--mirror", "--force"}, {"export", "--output-dir", out},
			{"verify", "--config-dir", out}, {"frobnicate"}, {"usage", "a", "b"}, {"usage", "a", "b", "--json"}, {"doc", "list"}, {"version"},
		} {
			stdout, stderr := shown(args...)
			if strings.Contains(stdout+stderr, "\x1b") {
				t.Errorf("%s: %q has colours: %q %q", c.name, args, stdout, stderr)
			}
			if stdout+stderr == "" {
				t.Errorf("%q shows nothing", args)
			}
			if strings.Contains(stdout, "\r") {
				t.Errorf("%q has progress among its results", args)
			}
			if progress := strings.Contains(stderr, "\r") && strings.Contains(stderr, " of "); progress != (args[0] == "export" && args[1] != "--help") {
				t.Errorf("%q: progress is %v: %q", args, progress, stderr)
			}
		}
	}
}

// TestProgress: a long piece of work shows how far it is, on a terminal alone, and
// what comes after begins a line of its own.
func TestProgress(t *testing.T) {
	term := openTerminal(t)
	a := &app{errOut: term.File}
	show := a.progress()
	show(0, 10)
	show(10, 10)
	a.note("done")
	a.progress()(0, 5)
	a.fail(poolkeeper.Errorf(poolkeeper.ErrDiffers, "no"))
	want := "\r0 of 10\r10 of 10\ndone\n\r0 of 5\npoolkeeper: no\n"
	if got := term.text(); !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, w := range []io.Writer{&bytes.Buffer{}, full{}} {
		if (&app{errOut: w}).progress() != nil {
			t.Errorf("there is progress on %T", w)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	regular, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer regular.Close()
	for _, f := range []*os.File{w, null, regular} {
		if isTerminal(f) || (&app{errOut: f}).progress() != nil {
			t.Errorf("%s counts as a terminal", f.Name())
		}
	}
}
