package vfs

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// SyncAll is by syncfs, where that both waits for the disk and tells of errors.
func (s system) SyncAll() (Syncer, error) {
	f, err := s.root.Open(".")
	if err != nil {
		return nil, err
	}
	conn, err := f.SyscallConn()
	if err == nil && (syncfs == 0 || !honest(conn)) {
		err = errors.ErrUnsupported
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &syncer{f, conn}, nil
}

// syncfs is the number of the call, 0 where it is not known. The package syscall
// has it for some machines only.
var syncfs = func() uintptr {
	switch runtime.GOARCH {
	case "amd64":
		return 306
	case "arm64", "riscv64", "loong64":
		return 267
	}
	return 0
}()

// honest reports whether syncfs does for a file system what fsync does for a file.
// Linux tells of errors since 5.8; a file system over a network or in a program of
// its own need not do anything.
func honest(conn syscall.RawConn) bool {
	var name syscall.Utsname
	if syscall.Uname(&name) != nil {
		return false
	}
	var release strings.Builder
	for _, c := range name.Release {
		if c == 0 {
			break
		}
		release.WriteByte(byte(c))
	}
	numbers := strings.SplitN(release.String(), ".", 3)
	if len(numbers) < 2 {
		return false
	}
	major, err := strconv.Atoi(numbers[0])
	minor, _ := strconv.Atoi(strings.TrimRight(numbers[1], "-+abcdefghijklmnopqrstuvwxyz"))
	if err != nil || major < 5 || major == 5 && minor < 8 {
		return false
	}
	const ext4, xfs, btrfs, tmpfs = 0xEF53, 0x58465342, 0x9123683E, 0x01021994
	var st syscall.Statfs_t
	err = conn.Control(func(fd uintptr) {
		if syscall.Fstatfs(int(fd), &st) != nil {
			st.Type = 0
		}
	})
	switch uint32(st.Type) {
	case ext4, xfs, btrfs, tmpfs:
		return err == nil
	}
	return false
}

type syncer struct {
	f    *os.File
	conn syscall.RawConn
}

func (s *syncer) Sync() error {
	var errno syscall.Errno
	if err := s.conn.Control(func(fd uintptr) {
		for {
			if _, _, errno = syscall.Syscall(syncfs, fd, 0, 0); errno != syscall.EINTR {
				return
			}
		}
	}); err != nil {
		return err
	}
	if errno != 0 {
		return &os.PathError{Op: "syncfs", Path: s.f.Name(), Err: errno}
	}
	return nil
}

func (s *syncer) Close() error { return s.f.Close() }
