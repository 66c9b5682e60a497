package filestore

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// lockFile stays in the directory.
const lockFile = configdir.LockFile

// hold takes the directory for this process, whatever state directory it has.
func (s *Store) hold() error {
	dir, err := vfs.Open(s.dir)
	if err != nil {
		return s.failure("open", err)
	}
	defer dir.Close()
	f, err := dir.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return s.failure("lock", err)
	}
	if err := f.Lock(); errors.Is(err, vfs.ErrLocked) {
		defer f.Close()
		b := make([]byte, 4096)
		n, _ := f.ReadAt(b, 0)
		pid, state, _ := strings.Cut(strings.TrimSpace(string(b[:n])), " ")
		holder := "another process"
		if pid != "" {
			holder = "process " + pid
			if state != "" && state != s.opts.StateDir {
				holder += " with the state directory " + state
			}
		}
		return poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the directory is in use by %s", holder).
			WithHint("call that one, as over its REST API; or stop it. Several instances share a store in Redis"), "open", s.dir)
	} else if err != nil {
		f.Close()
		return s.failure("lock", err)
	}
	s.lock = f
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt(fmt.Appendf(nil, "%d %s\n", os.Getpid(), s.opts.StateDir), 0)
	}
	return s.failure("lock", err)
}

func maphashSeed() maphash.Seed { return maphash.MakeSeed() }
