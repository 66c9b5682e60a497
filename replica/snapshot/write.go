package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/show"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// WriteOptions of [Write]. A nil *WriteOptions means all defaults.
type WriteOptions struct {
	// KeepFiles says that the snapshot has no carried files, and that those of the
	// last one stay.
	KeepFiles bool
	// FS is the directory, for tests that make it fail.
	FS vfs.FS
	// Logger gets what was found in the directory. It may be nil.
	Logger *slog.Logger
	// Now is the clock by which sessions expire; time.Now where nil.
	Now func() time.Time
}

// Write writes a snapshot into a directory, which is made where it is missing, in
// place of the one that is there. What has not changed is not written again. Where it
// fails, Load finds the old snapshot; and the files under gateway/ are old ones and
// new ones, each whole.
//
// What no file can be made of is left out of gateway/, and listed in the manifest.
func Write(ctx context.Context, dir string, snap *poolkeeper.Snapshot, opts *WriteOptions) (*Manifest, error) {
	if opts == nil {
		opts = &WriteOptions{}
	}
	w, err := openWriter(dir, opts)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if _, err := w.write(ctx, snap, opts.KeepFiles, true); err != nil {
		return nil, err
	}
	return w.last, nil
}

// Counts are how much was done.
type Counts struct {
	Encoded  int `json:"encoded"`  // sections that were made
	Sections int `json:"sections"` // of those, the ones that were written
	Files    int `json:"files"`    // under gateway/ that were written
	Removed  int `json:"removed"`  // under gateway/ that were removed
	Edited   int `json:"edited"`   // of somebody else that were replaced
}

// A writer writes one snapshot after the other into a directory.
type writer struct {
	fs  vfs.FS
	dir string // absolute, for paths that lead into it
	now func() time.Time
	log *slog.Logger

	last   *Manifest            // that is durable; nil where there is none
	before *poolkeeper.Snapshot // that goes with it, where it is in memory
	files  map[string]left      // under gateway/, by the path of a snapshot
	stamp  sync.Mutex           // guards stamps
	stamps map[string]stamp
	// known are the hashes that files may have beside those of files, as a write
	// did not come to its end; no file at all is "".
	known  map[string][]string
	edits  map[string]string // what was told of: path → the hash that it has
	bad    map[string]bool   // paths that could not be those of files
	counts Counts
	shown  *poolkeeper.Snapshot // what gateway/ is to be of; nil where that is the state
}

func openWriter(dir string, opts *WriteOptions) (*writer, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%v", err)
	}
	w := &writer{fs: opts.FS, dir: full, now: opts.Now, log: opts.Logger, files: map[string]left{}, stamps: map[string]stamp{}, known: map[string][]string{}, edits: map[string]string{}, bad: map[string]bool{}}
	if w.now == nil {
		w.now = time.Now
	}
	if w.log == nil {
		w.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if w.fs == nil {
		if w.fs, err = vfs.Make(full); err != nil {
			return nil, failure(err)
		}
	}
	if err := w.read(); err != nil {
		w.close()
		return nil, failure(err)
	}
	return w, nil
}

func (w *writer) close() { w.fs.Close() }

// read finds out what the last snapshot has left. Where that is damaged all is
// written anew.
func (w *writer) read() error {
	m, err := readManifest(w.fs)
	if errors.Is(err, poolkeeper.ErrDamaged) {
		w.log.Warn("the last snapshot is damaged, and is written anew", "dir", w.dir, "error", err)
		m, err = nil, nil
	}
	if err != nil {
		return err
	}
	if m == nil {
		if err := w.finishBefore(); err != nil {
			return err
		}
	}
	if w.last = m; m != nil {
		for name := range m.sections() {
			data, err := readSection(w.fs, name)
			if err == nil && strings.HasPrefix(name, filesPrefix) {
				var shard map[string]left
				if json.Unmarshal(data, &shard) != nil {
					err = damaged(name, "it is no list of files")
				}
				maps.Copy(w.files, shard)
			}
			if errors.Is(err, poolkeeper.ErrDamaged) {
				w.log.Warn("the last snapshot is damaged, and is written anew", "dir", w.dir, "error", err)
				w.last = nil
				continue
			}
			if err != nil {
				return err
			}
		}
	}
	return w.readKnown()
}

// write makes the directory that of a snapshot. all says that each file is looked
// at, and not only what is to be written. It returns whether there was something new.
func (w *writer) write(ctx context.Context, snap *poolkeeper.Snapshot, keepFiles, all bool) (bool, error) {
	now := w.now()
	if keepFiles {
		snap = withoutFiles(snap)
	}
	if w.replaces(snap.Meta["epoch"]) {
		if err := w.keepBefore(); err != nil {
			return false, failure(err)
		}
	}
	tree := snap
	if w.shown != nil {
		tree = w.shown
	}
	files, report, err := configdir.Files(tree, filepath.FromSlash(ConfigDir(w.dir)), now)
	if err != nil {
		return false, err
	}
	e := &encoder{fresh: map[string][]byte{}, counts: &w.counts}
	if w.last != nil && w.before != nil {
		e.before, e.was = w.before, w.last
	}
	m := e.encode(snap)
	m.WrittenAt = now.UnixMilli()
	next := w.next(files, keepFiles)
	if all {
		clear(w.bad) // they are tried again
	}
	for at := range w.bad {
		if _, ok := files[at]; ok {
			m.Unwritten = append(m.Unwritten, at)
			delete(files, at)
			delete(next, at)
		}
	}
	p, err := w.plan(files, next, all)
	if err != nil {
		return false, failure(err)
	}
	p.steps = report.Steps
	for _, n := range report.Warnings {
		if n.Code == configdir.CodeUnwritten {
			m.Unwritten = append(m.Unwritten, n.Path)
		}
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := w.begin(p, next); err != nil {
		return false, failure(err)
	}
	aims := maps.Clone(next)
	failed, err := w.writeTree(ctx, p, next)
	if len(failed) > 0 && len(p.gone) > 0 && err == nil {
		// What was in the way may be gone now.
		again := &plan{write: map[string][]byte{}, steps: p.steps}
		for _, at := range failed {
			again.write[at], next[at] = p.write[at], aims[at]
			delete(w.bad, at)
		}
		failed, err = w.writeTree(ctx, again, next)
	}
	if err != nil {
		return false, failure(err)
	}
	m.Unwritten = append(m.Unwritten, failed...)
	slices.Sort(m.Unwritten)
	m.Files = 0
	for _, f := range next {
		if f.Carried {
			m.Files++
		}
	}
	if m.Paths, err = e.paths(next, w.files); err != nil {
		return false, err
	}
	if w.last != nil && p.empty() && same(m, w.last) {
		w.before, w.files = snap, next
		return false, nil
	}
	if err := w.record(m, e.fresh); err != nil {
		return false, failure(err)
	}
	w.last, w.before, w.files = m, snap, next
	return true, nil
}

// same reports whether two manifests say the same but for the time.
func same(a, b *Manifest) bool {
	x, y := *a, *b
	x.WrittenAt, y.WrittenAt, x.Damage, y.Damage = 0, 0, nil, nil
	if len(x.Unwritten)+len(y.Unwritten) == 0 {
		x.Unwritten, y.Unwritten = nil, nil
	}
	if len(x.Pools)+len(y.Pools) == 0 {
		x.Pools, y.Pools = nil, nil
	}
	return reflect.DeepEqual(x, y)
}

// withoutFiles is a snapshot without its carried files.
func withoutFiles(snap *poolkeeper.Snapshot) *poolkeeper.Snapshot {
	if len(snap.KeysOf(poolkeeper.KindFile)) == 0 {
		return snap
	}
	next := *snap
	next.Values = maps.Clone(snap.Values)
	maps.DeleteFunc(next.Values, func(k poolkeeper.Key, _ poolkeeper.Document) bool { return k.Kind == poolkeeper.KindFile })
	return &next
}

// next is what is under gateway/ once all is written.
func (w *writer) next(files map[string]configdir.File, keepFiles bool) map[string]left {
	next := make(map[string]left, len(files))
	for p, f := range files {
		old, ok := w.files[p]
		if !ok || old.data == nil || string(old.data) != string(f.Data) {
			old = left{Hash: hashOf(f.Data), Size: int64(len(f.Data))}
		}
		old.data, old.Carried = f.Data, false
		switch {
		case f.Key.Kind == poolkeeper.KindFile:
			old.data, old.Carried = nil, true // it may be big
		case f.Key == poolkeeper.PoolsKey:
			old.data = nil
		}
		next[p] = old
	}
	if keepFiles {
		for p, old := range w.files {
			if _, taken := next[p]; !taken && old.Carried {
				next[p] = old
			}
		}
	}
	return next
}

// record makes a snapshot the last one. What is under gateway/ is durable by then.
func (w *writer) record(m *Manifest, fresh map[string][]byte) error {
	names := m.sections()
	var had map[string]bool
	if w.last != nil {
		had = w.last.sections()
	}
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		if !names[name] || had[name] {
			continue
		}
		if err := vfs.Replace(w.fs, name, fresh[name], 0o600); err != nil {
			return err
		}
		w.counts.Sections++
	}
	if err := w.fs.SyncDir("."); err != nil {
		return err
	}
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := vfs.WriteFile(w.fs, manifestFile, data, 0o600); err != nil {
		return err
	}
	w.known = map[string][]string{}
	w.tidy(names)
	return nil
}

// tidy removes what no snapshot names any more, and what a crash has left.
func (w *writer) tidy(names map[string]bool) {
	entries, err := w.fs.ReadDir(".")
	if err != nil {
		return // another time
	}
	for _, e := range entries {
		name := e.Name()
		section := strings.HasPrefix(name, statePrefix) || strings.HasPrefix(name, filesPrefix)
		if section && !names[name] || vfs.IsTemp(name) || name == writingFile {
			w.fs.Remove(name) // what stays is harmless
		}
	}
}

// failure makes an error of the file system one that the callers of a store know.
func failure(err error) error {
	var known *poolkeeper.Error
	if errors.As(err, &known) {
		return err
	}
	sentinel := poolkeeper.ErrInternal
	if errors.Is(err, fs.ErrPermission) {
		sentinel = poolkeeper.ErrForbidden
	}
	var pe *fs.PathError
	if errors.As(err, &pe) && !vfs.IsTemp(path.Base(pe.Path)) {
		return &poolkeeper.Error{Action: "write", Key: show.Name(pe.Path), Err: sentinel, Detail: pe.Err.Error()}
	}
	// The name would be a temporary one.
	var link *os.LinkError
	switch {
	case pe != nil:
		err = pe.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return &poolkeeper.Error{Action: "write", Key: "snapshot", Err: sentinel, Detail: err.Error()}
}
