//go:build !unix

package vfs

import (
	"errors"
	"io/fs"
)

// Lock is not known here.
func (f *file) Lock() error { return errors.ErrUnsupported }

func (f *file) unlock() {}

func keepOwner(FS, File, string, fs.FileMode) error { return nil }

func ownAs(File, fs.FileInfo) error { return nil }
