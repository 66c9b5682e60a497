// Package faultfs makes single calls of a [vfs.FS] go wrong, for tests: one
// fails, tears, or is the last one before the process dies; and a file system in
// memory loses, when the power is cut, all that was not synced.
package faultfs

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// A Fault says what happens at one call.
type Fault int

const (
	// Fail makes the call fail without doing anything.
	Fail Fault = iota
	// Full makes it fail as on a full disk; a write gets half of its way.
	Full
	// Tear lets a write do half of its work and kills the process; another call
	// is not done.
	Tear
	// Kill kills the process before the call.
	Kill
)

// A Plan counts the calls that change something, of all FS that it is given to,
// and makes one of them go wrong. The zero Plan only counts.
type Plan struct {
	mu    sync.Mutex
	count int
	names []string
	dead  bool

	// At is the number of the call, from 1; 0 for none.
	At    int
	Fault Fault
	// On makes all calls of that name from At on go wrong, not only one.
	On string
	// Err is what failing calls return; EIO where nil.
	Err error
	// Die ends the process; by SIGKILL where nil. Where it returns, all calls
	// from then on fail, as those of a process that is no more.
	Die func()
}

// Count is how many calls there were.
func (p *Plan) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Calls are the names of the calls that there were.
func (p *Plan) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.names...)
}

// call counts a call. half is true for a write that is to do half of its work
// before err is returned.
func (p *Plan) call(name, file string) (half bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return false, errDead
	}
	p.count++
	p.names = append(p.names, name+" "+file)
	hit := p.At > 0 && (p.count == p.At || p.On == name && p.count >= p.At)
	if !hit {
		return false, nil
	}
	write := name == "write"
	switch p.Fault {
	case Kill:
		p.die()
		return false, errDead
	case Tear:
		if write {
			return true, nil
		}
		p.die()
		return false, errDead
	case Full:
		return write, &fs.PathError{Op: name, Path: file, Err: syscall.ENOSPC}
	}
	if p.Err != nil {
		return false, p.Err
	}
	return false, &fs.PathError{Op: name, Path: file, Err: syscall.EIO}
}

var errDead = errors.New("the process is dead")

// die is called with the plan held.
func (p *Plan) die() {
	if p.Die != nil {
		p.dead = true
		p.Die()
		return
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		self.Kill()
	}
	select {}
}

// New wraps an FS.
func New(inner vfs.FS, plan *Plan) vfs.FS { return &faulty{inner, plan} }

type faulty struct {
	vfs.FS
	plan *Plan
}

func (f *faulty) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	if flag&os.O_CREATE != 0 {
		if _, err := f.plan.call("create", name); err != nil {
			return nil, err
		}
	}
	inner, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &file{inner, f.plan, name}, nil
}

func (f *faulty) MkdirAll(name string, perm fs.FileMode) error {
	if _, err := f.plan.call("mkdir", name); err != nil {
		return err
	}
	return f.FS.MkdirAll(name, perm)
}

func (f *faulty) Rename(from, to string) error {
	if _, err := f.plan.call("rename", to); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *faulty) Remove(name string) error {
	if _, err := f.plan.call("remove", name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f *faulty) SyncDir(name string) error {
	if _, err := f.plan.call("syncdir", name); err != nil {
		return err
	}
	return f.FS.SyncDir(name)
}

func (f *faulty) SyncAll() (vfs.Syncer, error) {
	all, err := f.FS.SyncAll()
	if err != nil {
		return nil, err
	}
	return &syncer{all, f.plan}, nil
}

type syncer struct {
	vfs.Syncer
	plan *Plan
}

func (s *syncer) Sync() error {
	if _, err := s.plan.call("syncall", "."); err != nil {
		return err
	}
	return s.Syncer.Sync()
}

type file struct {
	vfs.File
	plan *Plan
	name string
}

func (f *file) Write(b []byte) (int, error) {
	return f.write(b, f.File.Write)
}

func (f *file) WriteAt(b []byte, off int64) (int, error) {
	return f.write(b, func(b []byte) (int, error) { return f.File.WriteAt(b, off) })
}

func (f *file) write(b []byte, do func([]byte) (int, error)) (int, error) {
	half, err := f.plan.call("write", f.name)
	if !half && err == nil {
		return do(b)
	}
	n := 0
	if half {
		n, _ = do(b[:len(b)/2])
	}
	if err == nil {
		f.plan.mu.Lock()
		defer f.plan.mu.Unlock()
		f.plan.die()
		err = errDead
	}
	return n, err
}

func (f *file) Truncate(size int64) error {
	if _, err := f.plan.call("truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *file) Sync() error {
	if _, err := f.plan.call("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *file) SyncData() error {
	if _, err := f.plan.call("sync", f.name); err != nil {
		return err
	}
	return f.File.SyncData()
}
