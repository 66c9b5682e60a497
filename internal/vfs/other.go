//go:build !unix

package vfs

import (
	"errors"
	"io/fs"
)

// Lock is not known here.
func (f *file) Lock() error { return errors.ErrUnsupported }

func (f *file) unlock() {}

func sameDevice(a, b fs.FileInfo) bool { return true }

func keepOwner(FS, File, string, fs.FileMode) error { return nil }

func withMode(File, fs.FileMode) error { return nil }

func ownAs(File, fs.FileInfo) error { return nil }
