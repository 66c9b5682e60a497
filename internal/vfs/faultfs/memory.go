package faultfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// A Memory is a directory in memory that remembers what is durable: the bytes of
// a file as of its last Sync, and all names as of the last SyncDir of any directory.
type Memory struct {
	mu      sync.Mutex
	names   map[string]*inode
	durable map[string]*inode
	changes []change // of the names, since the last SyncDir
	boot    int      // how often the power was cut, or the process killed: files opened before are dead

	// KeepName says, when the power is cut, of each name that was made, given
	// or removed since the last SyncDir whether that has reached the disk; nil
	// for none. A rename is one change, of the name that it gives.
	KeepName func(name string) bool
	// OneByOne says that files and names are synced each by itself only.
	OneByOne bool
}

// A change is what was done to the names: to gets what from had, or a new file,
// or nothing.
type change struct {
	from, to string
	file     *inode
}

type inode struct {
	data, synced []byte
	locked       bool
	dir          bool
}

// NewMemory returns an empty directory.
func NewMemory() *Memory {
	return &Memory{names: map[string]*inode{}, durable: map[string]*inode{}}
}

// CutPower loses all that was not synced. keep says how much of what was
// written to a file since then has reached the disk all the same: it is asked
// for each file, with the durable bytes and those that were written.
func (m *Memory) CutPower(keep func(name string, synced, written []byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boot++
	for _, c := range m.changes {
		switch {
		case m.KeepName == nil || !m.KeepName(c.to):
		case c.file == nil:
			delete(m.durable, c.to)
		default:
			move(m.durable, c.from, c.to, c.file)
		}
	}
	m.names, m.changes = maps.Clone(m.durable), nil
	for name, n := range m.names {
		n.locked = false
		if keep != nil {
			n.synced = slices.Clone(keep(name, n.synced, n.data))
		}
		n.data = slices.Clone(n.synced)
	}
}

// move gives a name to what had another one, with all that lies in it.
func move(names map[string]*inode, from, to string, n *inode) {
	for name, inner := range maps.Clone(names) {
		if rest, in := strings.CutPrefix(name, from+"/"); in && from != "" {
			delete(names, name)
			names[to+"/"+rest] = inner
		}
	}
	delete(names, from)
	names[to] = n
}

// Kill ends the process: what it has written is there, its locks are not.
func (m *Memory) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boot++
	for _, n := range m.names {
		n.locked = false
	}
}

func (m *Memory) OpenFile(name string, flag int, _ fs.FileMode) (vfs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[name]
	if n == nil {
		if flag&os.O_CREATE == 0 || !m.isDir(path.Dir(name)) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		n = &inode{}
		m.names[name] = n
		m.changes = append(m.changes, change{to: name, file: n})
	} else if flag&os.O_EXCL != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	}
	if flag&os.O_TRUNC != 0 {
		n.data = nil
	}
	return &memoryFile{m: m, n: n, name: name, boot: m.boot}, nil
}

// isDir reports whether a name is that of a directory.
func (m *Memory) isDir(name string) bool {
	return name == "." || m.names[name] != nil && m.names[name].dir
}

func (m *Memory) MkdirAll(name string, _ fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range len(name) + 1 {
		if i < len(name) && name[i] != '/' || m.isDir(name[:i]) || name == "." {
			continue
		}
		at := name[:i]
		if m.names[at] != nil {
			return &fs.PathError{Op: "mkdir", Path: at, Err: fs.ErrExist}
		}
		m.names[at] = &inode{dir: true}
		m.changes = append(m.changes, change{to: at, file: m.names[at]})
	}
	return nil
}

func (m *Memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	move(m.names, from, to, n)
	m.changes = append(m.changes, change{from: from, to: to, file: n})
	return nil
}

func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(m.names, name)
	m.changes = append(m.changes, change{to: name})
	return nil
}

func (m *Memory) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[name]
	if name == "." {
		n = &inode{dir: true}
	}
	if n == nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return info{name, int64(len(n.data)), n.dir}, nil
}

func (m *Memory) Lstat(name string) (fs.FileInfo, error) { return m.Stat(name) }

func (m *Memory) Readlink(name string) (string, error) {
	return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
}

func (m *Memory) ReadDir(dir string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		if n := m.names[name]; path.Dir(name) == dir {
			all = append(all, fs.FileInfoToDirEntry(info{name, int64(len(n.data)), n.dir}))
		}
	}
	return all, nil
}

func (m *Memory) SyncDir(string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.durable, m.changes = maps.Clone(m.names), nil
	return nil
}

// SyncAll is not known where OneByOne is set.
func (m *Memory) SyncAll() (vfs.Syncer, error) {
	if m.OneByOne {
		return nil, errors.ErrUnsupported
	}
	return syncAll{m}, nil
}

type syncAll struct{ m *Memory }

func (s syncAll) Sync() error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for _, n := range s.m.names {
		n.synced = slices.Clone(n.data)
	}
	s.m.durable, s.m.changes = maps.Clone(s.m.names), nil
	return nil
}

func (s syncAll) Close() error { return nil }

func (m *Memory) Close() error { return nil }

type memoryFile struct {
	m    *Memory
	n    *inode
	name string
	off  int64
	boot int
	held bool
}

// do calls fn with the file system held, unless the power was cut since the
// file was opened.
func (f *memoryFile) do(fn func()) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.boot != f.m.boot {
		return &fs.PathError{Op: "use", Path: f.name, Err: fs.ErrClosed}
	}
	fn()
	return nil
}

func (f *memoryFile) Read(b []byte) (int, error) {
	n, err := f.ReadAt(b, f.off)
	f.off += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *memoryFile) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.do(func() {
		if off < int64(len(f.n.data)) {
			n = copy(b, f.n.data[off:])
		}
	})
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

func (f *memoryFile) Write(b []byte) (int, error) {
	n, err := f.WriteAt(b, f.off)
	f.off += int64(n)
	return n, err
}

func (f *memoryFile) WriteAt(b []byte, off int64) (int, error) {
	return len(b), f.do(func() {
		if end := off + int64(len(b)); end > int64(len(f.n.data)) {
			f.n.data = append(slices.Clone(f.n.data), make([]byte, end-int64(len(f.n.data)))...)
		} else {
			f.n.data = slices.Clone(f.n.data)
		}
		copy(f.n.data[off:], b)
	})
}

func (f *memoryFile) Stat() (fs.FileInfo, error) {
	var i info
	err := f.do(func() { i = info{f.name, int64(len(f.n.data)), false} })
	return i, err
}

func (f *memoryFile) Truncate(size int64) error {
	return f.do(func() {
		if size <= int64(len(f.n.data)) {
			f.n.data = f.n.data[:size:size]
		} else {
			f.n.data = append(slices.Clone(f.n.data), make([]byte, size-int64(len(f.n.data)))...)
		}
	})
}

func (f *memoryFile) Sync() error { return f.do(func() { f.n.synced = slices.Clone(f.n.data) }) }

func (f *memoryFile) SyncData() error { return f.Sync() }

func (f *memoryFile) Chmod(fs.FileMode) error { return nil }
func (f *memoryFile) Chown(int, int) error    { return nil }

func (f *memoryFile) Lock() error {
	taken := false
	if err := f.do(func() { taken, f.n.locked = f.n.locked, true }); err != nil {
		return err
	}
	if taken {
		return vfs.ErrLocked
	}
	f.held = true
	return nil
}

func (f *memoryFile) Close() error {
	return f.do(func() {
		if f.held {
			f.n.locked = false
		}
	})
}

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string       { return path.Base(i.name) }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
