// Package vfs is the few file-system calls by which journal and filestore make
// things durable, as an interface, so that tests can make each single call
// fail, tear, fill the disk, be lost, or be the last thing that the process does.
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// An FS is one directory with everything below it. Names are relative to it and
// slash separated; no call leaves it, through symbolic links neither.
type FS interface {
	// OpenFile opens a file as [os.OpenFile] does.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// MkdirAll makes a directory and those above it that are missing.
	MkdirAll(name string, perm fs.FileMode) error
	// Rename replaces to, where it exists, in one step.
	Rename(from, to string) error
	Remove(name string) error
	Stat(name string) (fs.FileInfo, error)
	Lstat(name string) (fs.FileInfo, error)
	Readlink(name string) (string, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the names in a directory durable: files that were made,
	// renamed or removed in it. It does nothing where the system cannot.
	SyncDir(name string) error
	// SyncAll returns what syncs the whole file system that the directory is on;
	// [errors.ErrUnsupported] where that cannot be relied on. What lies below may be
	// on others.
	SyncAll() (Syncer, error)
	Close() error
}

// A File is an open file.
type File interface {
	io.ReadWriteCloser
	io.ReaderAt
	io.WriterAt
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	// Sync makes what was written durable. After it has failed, nothing is
	// known of what was written since the last time that it had not.
	Sync() error
	// SyncData is Sync for the bytes of the file and its length; the times of the
	// file may be lost. It is quicker where the bytes were there before.
	SyncData() error
	Chmod(mode fs.FileMode) error
	Chown(uid, gid int) error
	// Lock takes the file for this process alone, until it is closed or the
	// process ends. It returns [ErrLocked] where another one has it.
	Lock() error
}

// Open opens the FS of an existing directory.
func Open(dir string) (FS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return system{root}, nil
}

// Make opens the FS of a directory, which it makes where it is missing, durably:
// with those above it that are missing, each 0700.
func Make(dir string) (FS, error) {
	var missing []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		missing = append(missing, at)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for _, at := range slices.Backward(missing) {
		if err := syncDir(filepath.Dir(at)); err != nil {
			return nil, err
		}
	}
	return Open(dir)
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

type system struct{ root *os.Root }

func (s system) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := s.root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &file{File: f}, nil
}

func (s system) MkdirAll(name string, perm fs.FileMode) error { return s.root.MkdirAll(name, perm) }
func (s system) Rename(from, to string) error                 { return s.root.Rename(from, to) }
func (s system) Remove(name string) error                     { return s.root.Remove(name) }
func (s system) Stat(name string) (fs.FileInfo, error)        { return s.root.Stat(name) }
func (s system) Lstat(name string) (fs.FileInfo, error)       { return s.root.Lstat(name) }
func (s system) Readlink(name string) (string, error)         { return s.root.Readlink(name) }
func (s system) Close() error                                 { return s.root.Close() }

func (s system) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

func (s system) SyncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := s.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

type file struct {
	*os.File
	locked bool
}

// Close gives up the lock first: a process that is being started may have the
// file open for a moment longer.
func (f *file) Close() error {
	if f.locked {
		f.unlock()
	}
	return f.File.Close()
}

// Create is OpenFile for a file that may have to be made: for reading and
// writing, with these flags as well, 0600. It gets the owner of the directory,
// where we may give files away: what an operator makes is for the service.
func Create(fsys FS, name string, flag int) (File, error) {
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|flag, 0o600)
	if err != nil {
		return nil, err
	}
	dir, err := fsys.Stat(parent(name))
	if err == nil {
		err = ownAs(f, dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ReadFile reads a whole file of at most limit bytes.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fs.PathError{Op: "read", Path: name, Err: ErrTooLarge}
	}
	return data, err
}

// WriteFile replaces a file whole and durably: [Replace], and then the directory
// is synced. Where all that failed was the sync of the directory, the old file
// or the new one may be there after a crash.
func WriteFile(fsys FS, name string, data []byte, perm fs.FileMode) error {
	if err := Replace(fsys, name, data, perm); err != nil {
		return err
	}
	return fsys.SyncDir(parent(name))
}

// Replace replaces a file whole: under a temporary name in the same directory
// it is written, given the mode and the owner of the file that it replaces, or
// perm where there is none, and synced; then it is renamed. Where it fails the
// old file is there as it was. The directory is left for the caller to sync.
//
// What is replaced is the name: a link gives way, and its target stays. The
// temporary name is a short one of its own, so that the name of the file can be
// as long as the file system allows, and ends in .tmp, so that what a crash
// leaves behind is known to be transient.
func Replace(fsys FS, name string, data []byte, perm fs.FileMode) (err error) {
	temp, f, err := create(fsys, name, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			fsys.Remove(temp)
		}
	}()
	err = fill(fsys, f, name, data, perm)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = fsys.Rename(temp, name)
	}
	return err
}

// TempPrefix begins the names under which files and directories are made before
// they are renamed.
const TempPrefix = ".poolkeeper-"

const tempSuffix = ".tmp"

// IsTemp reports whether a name is such a one.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, TempPrefix) && strings.HasSuffix(name, tempSuffix)
}
