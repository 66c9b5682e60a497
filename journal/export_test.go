package journal

import "github.com/poolkeeper/poolkeeper/internal/vfs"

// RepairFS is Repair of a file system, for tests that make it fail.
func RepairFS(fsys vfs.FS) (*Repaired, error) { return (&Journal{dir: "DIR"}).repair(fsys) }
