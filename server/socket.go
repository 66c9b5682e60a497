package server

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/poolkeeper/poolkeeper"
)

// SocketName is what the socket is called in the state directory.
const SocketName = "poolkeeper.sock"

// maxSocketPath is what the address of a socket can hold on Linux and macOS.
const maxSocketPath = 103

// ListenSocket listens on a unix socket that only its owner can reach. What a
// service that is gone has left there is replaced; where one answers, or the path
// is no socket, it is [poolkeeper.ErrForbidden] and nothing is changed. Closing
// the listener removes the socket, unless it is another's by then.
func ListenSocket(path string) (net.Listener, error) {
	refuse := func(err error) (net.Listener, error) {
		return nil, poolkeeper.Annotate(err, "listen on", path)
	}
	if len(path) > maxSocketPath {
		return refuse(poolkeeper.Errorf(poolkeeper.ErrInvalid, "the path has %d bytes; the address of a socket holds %d", len(path), maxSocketPath).
			WithHint("choose a shorter POOLKEEPER_STATE_DIR"))
	}
	if err := vacate(path); err != nil {
		return refuse(err)
	}
	// Made in a directory of its own and moved: at no moment can others reach it.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s") // mode 0700
	if err != nil {
		return refuse(cannotListen(err))
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	if len(made) > maxSocketPath {
		made = path // at the limit it is made in its place
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return refuse(cannotListen(err))
	}
	ln.SetUnlinkOnClose(false)
	err = os.Chmod(made, 0o600)
	var info fs.FileInfo
	if err == nil {
		info, err = os.Lstat(made)
	}
	if err == nil && made != path {
		err = os.Rename(made, path)
	}
	if err != nil {
		ln.Close()
		return refuse(cannotListen(err))
	}
	return &socket{UnixListener: ln, path: path, info: info}, nil
}

func cannotListen(err error) error {
	return poolkeeper.Errorf(poolkeeper.ErrForbidden, "%v", err).
		WithHint("set POOLKEEPER_STATE_DIR to a directory that can be written")
}

// vacate removes a socket that nobody listens on any more.
func vacate(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return cannotListen(err)
	case info.Mode().Type() != fs.ModeSocket:
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "it is there, and no socket").WithHint("remove it, or choose another POOLKEEPER_STATE_DIR")
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "another service answers there").
			WithHint("stop it, or give this one a POOLKEEPER_STATE_DIR of its own")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return cannotListen(err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return cannotListen(err)
	}
	return nil
}

// A socket is a listener that takes its file along.
type socket struct {
	*net.UnixListener
	path string
	info fs.FileInfo
	once sync.Once
}

func (s *socket) Close() error {
	s.once.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.info) {
			_ = os.Remove(s.path)
		}
	})
	return s.UnixListener.Close()
}
