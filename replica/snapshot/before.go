package snapshot

import (
	"errors"
	"io/fs"
	"strings"
)

// beforeDir has the last snapshot of another store.
const beforeDir = "before"

// replaces reports whether an epoch is that of another store than the last snapshot's,
// and that holds something. Then it may be the only copy: a Redis that was emptied and
// begun anew by mistake must not take it.
func (w *writer) replaces(epoch string) bool {
	old := w.last
	return old != nil && old.Epoch != "" && epoch != "" && epoch != old.Epoch &&
		old.Providers+old.Tokens+old.Documents+old.Files > 0
}

// keepBefore moves the last snapshot away, whole. Until the next one is written there
// is none.
func (w *writer) keepBefore() error {
	w.log.Warn("the store is another one than that of the last snapshot, which is kept", "dir", w.dir, "kept", beforeDir, "epoch", w.last.Epoch)
	w.removeAll(beforeDir, true)
	if err := makeDirs(w.fs, beforeDir); err != nil {
		return err
	}
	// The manifest first: what one names in its own directory is whole.
	if err := w.fs.Rename(manifestFile, beforeDir+"/"+manifestFile); err != nil {
		return err
	}
	if err := w.moveBefore(); err != nil {
		return err
	}
	w.last, w.before = nil, nil
	w.files, w.stamps, w.known, w.edits = map[string]left{}, map[string]stamp{}, map[string][]string{}, map[string]string{}
	return nil
}

// moveBefore moves what belongs to the manifest that was moved; the files last.
func (w *writer) moveBefore() error {
	entries, err := w.fs.ReadDir(".")
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if n := e.Name(); strings.HasPrefix(n, statePrefix) || strings.HasPrefix(n, filesPrefix) {
			names = append(names, n)
		}
	}
	for _, n := range append(names, treeDir) {
		if err := w.fs.Rename(n, beforeDir+"/"+n); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, d := range []string{beforeDir, "."} {
		if err := w.fs.SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// finishBefore goes on with a move that was cut off. It is called where there is no
// manifest.
func (w *writer) finishBefore() error {
	has := func(name string) bool { _, err := w.fs.Stat(name); return err == nil }
	if !has(beforeDir+"/"+manifestFile) || has(beforeDir+"/"+treeDir) || !has(treeDir) {
		return nil
	}
	return w.moveBefore()
}
