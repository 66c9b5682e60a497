//go:build !linux

package vfs

import "errors"

// SyncAll is not known here.
func (system) SyncAll() (Syncer, error) { return nil, errors.ErrUnsupported }
