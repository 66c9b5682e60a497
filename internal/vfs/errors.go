package vfs

import (
	"errors"
	"path"
)

var (
	// ErrLocked says that another process has the file.
	ErrLocked = errors.New("it is locked by another process")
	// ErrTooLarge says that a file has more bytes than it may.
	ErrTooLarge = errors.New("it is too large")
)

func parent(name string) string { return path.Dir(name) }
