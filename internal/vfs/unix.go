//go:build unix

package vfs

import (
	"errors"
	"io/fs"
	"syscall"
)

// Lock is by flock, which ends with the process.
func (f *file) Lock() error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	if err := conn.Control(func(fd uintptr) {
		lockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB)
	}); err != nil {
		return err
	}
	if errors.Is(lockErr, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	f.locked = lockErr == nil
	return lockErr
}

func (f *file) unlock() {
	if conn, err := f.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) { syscall.Flock(int(fd), syscall.LOCK_UN) }) // closing does it, too
	}
}

// sameDevice reports whether two files are on one file system. Those of a test that
// has none are.
func sameDevice(a, b fs.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, also := b.Sys().(*syscall.Stat_t)
	return ok == also && (!ok || x.Dev == y.Dev)
}

// keepOwner gives a file the mode and the owner of the one that it will replace.
// The owner can be kept only by those who may give files away; to all others it
// is their own anyway, or the file becomes theirs.
func keepOwner(fsys FS, f File, name string, perm fs.FileMode) error {
	old, err := fsys.Lstat(name)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil || !old.Mode().IsRegular():
		return withMode(f, perm)
	}
	if err := ownAs(f, old); err != nil {
		return err
	}
	return f.Chmod(old.Mode().Perm())
}

// withMode gives a new file its mode, of which the umask may have taken some.
func withMode(f File, perm fs.FileMode) error {
	if now, err := f.Stat(); err == nil && now.Mode().Perm() == perm {
		return nil
	}
	return f.Chmod(perm)
}

// ownAs gives a file the owner and the group of another, where we may.
func ownAs(f File, other fs.FileInfo) error {
	st, ok := other.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if mine, ok := now.Sys().(*syscall.Stat_t); ok && (mine.Uid != st.Uid || mine.Gid != st.Gid) {
		if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}
