//go:build !unix

package redistest

import (
	"errors"
	"net"
	"os"
	"testing"
)

var errNoSignals = errors.New("redistest: pausing a process needs unix")

func signalTerminate(p *os.Process) error { return p.Kill() }
func signalPause(*os.Process) error       { return errNoSignals }
func signalResume(*os.Process) error      { return errNoSignals }

// idle is false so that a new connection is made for each command.
func idle(net.Conn) bool { return false }

// Deaf needs unix.
func Deaf(tb testing.TB) string {
	tb.Helper()
	tb.Fatal("redistest: a port that loses packets needs unix")
	return ""
}
