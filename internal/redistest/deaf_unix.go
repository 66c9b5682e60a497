//go:build unix

package redistest

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Deaf returns a host:port to which packets are lost: whoever connects hears
// nothing at all. The cleanup of tb ends it.
func Deaf(tb testing.TB) string {
	tb.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	syscall.CloseOnExec(fd)
	err = errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0))
	name, named := syscall.Getsockname(fd)
	if err = errors.Join(err, named); err != nil {
		tb.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port))
	// Nobody accepts: when the line of those that wait is full, the kernel drops
	// whatever else asks.
	for range 100 {
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		var late net.Error
		switch {
		case err == nil:
			tb.Cleanup(func() { _ = c.Close() })
		case errors.As(err, &late) && late.Timeout():
			return addr
		default:
			tb.Fatal(err)
		}
	}
	tb.Fatal("a port with nobody behind it takes any number of connections")
	return ""
}
