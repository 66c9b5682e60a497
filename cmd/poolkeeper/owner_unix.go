//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// trusted reports whether a socket is that of this user or of whoever has its
// directory. A key is shown to nobody else: root can connect to any socket.
func trusted(path string, info fs.FileInfo) bool {
	socket, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	if int(socket.Uid) == os.Geteuid() {
		return true
	}
	in, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return false
	}
	dir, ok := in.Sys().(*syscall.Stat_t)
	return ok && dir.Uid == socket.Uid
}
