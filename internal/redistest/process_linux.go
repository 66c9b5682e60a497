package redistest

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill the child when this process dies without
// running its cleanups, as a test binary does on a timeout.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
