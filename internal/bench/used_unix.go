//go:build unix

package bench

import (
	"runtime"
	"syscall"
	"time"
)

// Used is what this process has taken: processor time, in the kernel too, and
// bytes of memory at most.
func Used() (cpu time.Duration, peak int64) {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0, 0
	}
	peak = int64(use.Maxrss)
	if runtime.GOOS != "darwin" { // there it is in bytes
		peak <<= 10
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano()), peak
}
