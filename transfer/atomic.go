package transfer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// writeFile makes a file of mode 0600 that is complete or not there: it is
// written and synced under another name in the same directory, and renamed.
// The directory is left for the caller to sync.
//
// The other name is a short one of its own, so that the name of the file can
// be as long as the file system allows, and ends in .tmp, so that what a crash
// leaves behind is known to be transient.
func writeFile(in *os.Root, name string, data []byte) (err error) {
	var random [8]byte
	rand.Read(random[:]) // never fails
	temp := filepath.Join(filepath.Dir(name), ".poolkeeper-"+hex.EncodeToString(random[:])+".tmp")
	f, err := in.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			in.Remove(temp)
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = in.Rename(temp, name)
	}
	return err
}

// syncDir makes the names in a directory durable, where the system can.
func syncDir(in *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := in.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// inParallel calls do for each item, several at a time, since most of the time
// goes by waiting for the disk. It returns one of the errors, after all calls
// have ended.
func inParallel(ctx context.Context, items []string, do func(string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan string)
	var wg sync.WaitGroup
	for range min(8, len(items)) {
		wg.Go(func() {
			for item := range next {
				if err := do(item); err != nil {
					cancel(err)
				}
			}
		})
	}
feed:
	for _, item := range items {
		select {
		case next <- item:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
