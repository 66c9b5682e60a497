//go:build !linux

package vfs

func (f file) SyncData() error { return f.Sync() }
