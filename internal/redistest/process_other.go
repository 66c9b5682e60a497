//go:build !linux

package redistest

import "os/exec"

// dieWithParent is only there on Linux; elsewhere a server outlives a test
// binary that dies without running its cleanups.
func dieWithParent(*exec.Cmd) {}
