package redisstore_test

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// An exactProcess is one child. Those of one slot follow each other.
type exactProcess struct {
	exactSpec
	role  string
	slot  int
	proxy *redistest.Proxy // nil where it finds Redis directly
	dieAt int64            // the length of its log at which it is killed; 0: never
	cmd   *exec.Cmd
	stdin io.Closer
	out   bytes.Buffer
	done  chan struct{} // closed when it has ended
	over  bool          // its end was seen
}

// killed reports whether the process, which has ended, did so by a signal.
func (p *exactProcess) killed() bool { return !p.cmd.ProcessState.Exited() }

func (p *exactProcess) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// launch starts a process.
func (r *exactRun) launch(p *exactProcess) *exactProcess {
	r.Helper()
	p.Log = filepath.Join(r.dir, fmt.Sprintf("%d-%d.log", p.slot, p.Life))
	p.Seed, p.Faults = r.rand.Uint64(), r.Mode == exactCuts
	p.done = make(chan struct{})
	var err error
	if p.cmd, p.stdin, err = exactCommand(p.role, p.exactSpec); err != nil {
		r.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	go func() {
		p.cmd.Wait() // what it came to is in ProcessState
		close(p.done)
	}()
	r.procs = append(r.procs, p)
	switch {
	case r.Mode != exactKills:
	case p.role == exactChanging && p.Life < exactChangers-1:
		p.dieAt = 1 + r.rand.Int64N(4<<10)
	case p.role == exactCounting && p.Life < exactLives-1:
		p.dieAt = 1 + r.rand.Int64N(int64(p.Ops)*exactBytes*2/3)
	}
	return p
}

const (
	exactLives    = 3  // how many processes count in one slot where processes are killed
	exactChangers = 10 // how many change definitions there, at most
	exactBytes    = 16 // what an increment takes of a log, or more
)

// replace lets another process go on where one was killed.
func (r *exactRun) replace(p *exactProcess) {
	if err := r.failure(p); err != nil {
		r.Error(err)
		return
	}
	if !p.killed() {
		return
	}
	rec, err := readExactLog(p.Log)
	if err != nil {
		r.Fatal(err)
	}
	next := p.exactSpec
	next.Life++
	if next.Ops -= len(rec.ops); next.Ops > 0 {
		r.launch(&exactProcess{role: p.role, slot: p.slot, exactSpec: next})
	}
}

// failure is why a process ended that has ended.
func (r *exactRun) failure(p *exactProcess) error {
	switch {
	case p.killed() && r.Mode != exactKills:
		return fmt.Errorf("process %d.%d was killed: %s", p.slot, p.Life, &p.out)
	case !p.killed() && p.cmd.ProcessState.ExitCode() != 0:
		return fmt.Errorf("process %d.%d ended with %v: %s", p.slot, p.Life, p.cmd.ProcessState, &p.out)
	}
	return nil
}

// killAll ends what a failed run left running.
func (r *exactRun) killAll() {
	for _, p := range r.procs {
		p.stdin.Close()
		p.cmd.Process.Kill()
		<-p.done
	}
}
