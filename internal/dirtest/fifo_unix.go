//go:build unix

package dirtest

import "syscall"

func makeFifo(path string, mode uint32) error { return syscall.Mkfifo(path, mode) }
