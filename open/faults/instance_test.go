package faults_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
)

// An instance is one after the other of the processes on one state directory, behind
// a proxy of its own.
type instance struct {
	*testing.T
	spec  spec
	proxy *redistest.Proxy
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{}
	err   error
	log   syncBuffer // of all its processes
	rec   *record
}

// A syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newInstance makes the instance of a number; the proxy leads to upstream.
func newInstance(t *testing.T, number int, upstream string, s spec) *instance {
	t.Helper()
	in := &instance{T: t, spec: s, proxy: redistest.StartProxy(t, upstream)}
	dir := filepath.Join(t.TempDir(), fmt.Sprint(number))
	if err := os.MkdirAll(filepath.Join(dir, "configs"), 0o700); err != nil {
		t.Fatal(err)
	}
	in.spec.URL, in.spec.Dir, in.spec.Log = in.proxy.URL(), dir, filepath.Join(dir, "log")
	in.spec.Number = number
	in.rec = newRecord(in.spec.Log)
	in.rec.keyed = s.Keyed
	t.Cleanup(func() {
		if in.cmd != nil {
			in.kill()
		}
		if t.Failed() {
			text := in.log.String()
			t.Logf("log of instance %d:\n%s", number, text[max(0, len(text)-16<<10):])
		}
	})
	return in
}

// start starts the next process.
func (in *instance) start() {
	in.Helper()
	in.spec.Process++
	in.spec.Seed++
	text, err := json.Marshal(in.spec)
	if err != nil {
		in.Fatal(err)
	}
	in.cmd = exec.Command(os.Args[0])
	in.cmd.Env = append(os.Environ(), "GOTRACEBACK=all", roleVariable+"=instance", specVariable+"="+string(text))
	in.cmd.Stdout, in.cmd.Stderr = &in.log, &in.log
	if in.stdin, err = in.cmd.StdinPipe(); err == nil {
		err = in.cmd.Start()
	}
	if err != nil {
		in.Fatal(err)
	}
	in.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		in.err = cmd.Wait()
		close(done)
	}(in.cmd, in.done)
}

// kill ends the process with SIGKILL.
func (in *instance) kill() {
	in.cmd.Process.Kill()
	<-in.done
	in.stdin.Close()
}

// drainTime is how long the queues have to get empty, on a machine with much to do.
const drainTime = 90 * time.Second

// end has the process end in order, once nothing waits any more.
func (in *instance) end() {
	in.Helper()
	in.stdin.Close()
	select {
	case <-in.done:
		if in.err != nil {
			in.Errorf("instance %s: %v", in.spec.Dir, in.err)
		}
	case <-time.After(drainTime):
		in.cmd.Process.Signal(syscall.SIGQUIT) // it says what each goroutine is at
		<-in.done
		text := in.log.String()
		at := max(0, strings.Index(text, "SIGQUIT: quit"))
		had, err := backlog.Inspect(filepath.Join(in.spec.Dir, "state", "journal"))
		in.Errorf("instance %s has ops that wait, long after everything was mended: %+v, %v\n%s\n%s",
			in.spec.Dir, had, err, text[max(0, at-4<<10):at], busy(text[at:]))
	}
}

// busy leaves out of what goroutines are at those that have nothing to do.
func busy(text string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(text, "\n\n"), func(s string) bool {
		return strings.Contains(s, "(*Queue).next(") || strings.Contains(s, "(idle") || strings.Contains(s, "goroutine running on other thread")
	}), "\n\n")
}

// read reads what it has told by now.
func (in *instance) read() *record {
	in.Helper()
	if err := in.rec.read(); err != nil {
		in.Fatal(err)
	}
	return in.rec
}

// alive fails the test where the process ended by itself.
func (in *instance) alive() {
	in.Helper()
	select {
	case <-in.done:
		in.Fatalf("instance %s has ended by itself: %v", in.spec.Dir, in.err)
	default:
	}
}

// opened waits until the process has opened its store.
func (in *instance) opened() {
	in.Helper()
	until(in.T, "the store opens", func() bool {
		in.alive()
		return in.read().opened() == in.spec.Process
	})
}
