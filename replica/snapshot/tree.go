package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/show"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

const (
	poolsPath  = configdir.Name + "/provider_pools.json"
	configPath = configdir.Name + "/config.json"
)

// in is the name of a path of a snapshot in the directory.
func in(p string) string { return treeDir + "/" + p }

// A plan is what a write does to the files under gateway/.
type plan struct {
	write map[string][]byte
	gone  []string
	steps []string // directories that token paths go through and out of again
}

func (p *plan) empty() bool { return len(p.write)+len(p.gone) == 0 }

// plan finds what is to be written and removed. What somebody else has changed is
// put aside.
func (w *writer) plan(files map[string]configdir.File, next map[string]left, all bool) (*plan, error) {
	p := &plan{write: map[string][]byte{}}
	var look []string
	for at := range next {
		_, has := files[at]
		_, open := w.known[at]
		if has && (all || open || w.files[at].Hash != next[at].Hash) {
			look = append(look, at)
		}
	}
	gone := map[string]bool{}
	for at := range w.files {
		gone[at] = true
	}
	for at := range w.known { // it may be there
		gone[at] = true
	}
	for at := range gone {
		if _, stays := next[at]; !stays {
			look = append(look, at)
			p.gone = append(p.gone, at)
		}
	}
	slices.Sort(look)
	slices.Sort(p.gone)
	found := make([]string, len(look))
	err := parallel(len(look), func(i int) (err error) {
		found[i], err = w.hashAt(look[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, at := range look {
		if !w.ours(at, found[i], next[at].Hash) {
			if err := w.putAside(at, found[i]); err != nil {
				return nil, err
			}
		}
		if f, stays := files[at]; stays && found[i] != next[at].Hash {
			p.write[at] = f.Data
		}
	}
	return p, nil
}

// ours reports whether a file has what a write has left there, or was about to.
func (w *writer) ours(at, found, next string) bool {
	old, had := w.files[at]
	return found == next || had && found == old.Hash || !had && found == "" || slices.Contains(w.known[at], found)
}

// A stamp is what a file had when its hash was found out.
type stamp struct {
	size int64
	time time.Time
	hash string
}

// hashAt returns the hash of the file at a path; "" where there is none.
func (w *writer) hashAt(at string) (string, error) {
	info, err := w.fs.Lstat(in(at))
	if err != nil && (errors.Is(err, fs.ErrNotExist) || unwritable(err)) || err == nil && !info.Mode().IsRegular() {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	w.stamp.Lock()
	s, ok := w.stamps[at]
	w.stamp.Unlock()
	if ok && s.size == info.Size() && s.time.Equal(info.ModTime()) && !s.time.IsZero() {
		return s.hash, nil
	}
	data, err := vfs.ReadFile(w.fs, in(at), math.MaxInt64-1)
	if err != nil {
		return "", err
	}
	hash := hashOf(data)
	w.stamp.Lock()
	w.stamps[at] = stamp{info.Size(), info.ModTime(), hash}
	w.stamp.Unlock()
	return hash, nil
}

// putAside keeps what somebody else has made of a file, before it is replaced.
func (w *writer) putAside(at, found string) error {
	if told, ok := w.edits[at]; ok && told == found {
		return nil
	}
	w.counts.Edited++
	if found == "" {
		w.log.Warn("a file of the snapshot was removed by another program, and is written again", "file", show.Name(at))
		w.edits[at] = found
		return nil
	}
	data, err := vfs.ReadFile(w.fs, in(at), math.MaxInt64-1)
	if err != nil {
		return err
	}
	to := editedDir + "/" + at
	if err := makeDirs(w.fs, path.Dir(to)); err != nil {
		return err
	}
	if err := vfs.WriteFile(w.fs, to, data, 0o600); err != nil {
		return err
	}
	w.log.Warn("a file of the snapshot was changed by another program, and is replaced: what it was is kept", "file", show.Name(at), "kept", show.Name(to))
	w.edits[at] = found
	return nil
}

// makeDirs makes directories whose names are durable.
func makeDirs(fsys vfs.FS, name string) error {
	if _, err := fsys.Stat(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDirs(fsys, path.Dir(name)); err != nil {
		return err
	}
	if err := fsys.MkdirAll(name, 0o700); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

// maxKnown bounds what is known of one path by writes that did not come to their end.
const maxKnown = 32

// begin makes durable which files are about to get which content, so that what a
// write leaves that is cut off is known to be ours.
func (w *writer) begin(p *plan, next map[string]left) error {
	if p.empty() {
		return nil
	}
	know := func(at, hash string) {
		if !slices.Contains(w.known[at], hash) {
			list := append(w.known[at], hash)
			w.known[at] = list[max(0, len(list)-maxKnown):]
		}
	}
	for at := range p.write {
		know(at, next[at].Hash)
	}
	for _, at := range p.gone {
		know(at, "")
	}
	data, err := json.Marshal(w.known)
	if err != nil {
		return err
	}
	return vfs.WriteFile(w.fs, writingFile, data, 0o600)
}

// readKnown reads what a write that was cut off was about to do.
func (w *writer) readKnown() error {
	data, err := vfs.ReadFile(w.fs, writingFile, math.MaxInt64-1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if json.Unmarshal(data, &w.known) != nil || w.known == nil {
		w.known = map[string][]string{} // at the worst, what is ours is put aside
	}
	w.sweep()
	return nil
}

// writeTree writes the files: first what others refer to, then the pools, then
// config.json, and then removes what nothing refers to any more. failed are the paths
// that can never be those of files; they are left out of next.
func (w *writer) writeTree(ctx context.Context, p *plan, next map[string]left) (failed []string, err error) {
	if err := makeDirs(w.fs, in(configdir.Name)); err != nil {
		return nil, err
	}
	var first []string
	for at := range p.write {
		if at != poolsPath && at != configPath {
			first = append(first, at)
		}
	}
	slices.Sort(first)
	for _, phase := range [][]string{first, {poolsPath}, {configPath}} {
		phase = slices.DeleteFunc(phase, func(at string) bool { _, has := p.write[at]; return !has })
		var steps []string
		if len(first) > 0 {
			steps = p.steps
		}
		for len(phase) > 0 {
			bad, err := w.writeSome(ctx, phase, steps, p.write)
			if err == nil {
				break
			}
			if bad == "" || !unwritable(err) {
				return nil, err
			}
			// It may be a directory of files, or one that a path goes through.
			hit := func(at string) bool { return in(at) == bad || strings.HasPrefix(in(at), bad+"/") }
			n := len(phase) + len(steps)
			for _, at := range phase {
				if hit(at) {
					failed = append(failed, at)
					w.bad[at] = true
					delete(next, at)
				}
			}
			phase = slices.DeleteFunc(slices.Clone(phase), hit)
			steps = slices.DeleteFunc(slices.Clone(steps), hit)
			if len(phase)+len(steps) == n {
				return nil, err // of the directory itself
			}
		}
		for _, at := range phase {
			w.written(at, next[at])
		}
	}
	dirs := map[string]bool{}
	for _, at := range p.gone {
		err := w.fs.Remove(in(at))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !unwritable(err) {
			return nil, err
		}
		delete(w.stamps, at)
		w.counts.Removed++
		dirs[path.Dir(in(at))] = true
	}
	sorted := slices.Sorted(maps.Keys(dirs))
	for _, d := range sorted {
		if err := w.fs.SyncDir(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	w.prune(sorted, p.steps)
	return failed, nil
}

func (w *writer) written(at string, f left) {
	w.counts.Files++
	delete(w.edits, at)
	delete(w.stamps, at)
	if info, err := w.fs.Lstat(in(at)); err == nil && info.Size() == f.Size {
		w.stamps[at] = stamp{info.Size(), info.ModTime(), f.Hash}
	}
}

// manyFiles is from how many files on it pays to sync a whole file system.
const manyFiles = 256

// writeSome writes files, and makes them and their names durable. bad is the name that
// an error is about.
func (w *writer) writeSome(ctx context.Context, paths, steps []string, data map[string][]byte) (bad string, err error) {
	dirs := map[string]bool{".": true}
	add := func(d string) {
		for ; !dirs[d]; d = path.Dir(d) {
			dirs[d] = true
		}
	}
	var files []vfs.Replacement
	for _, at := range paths {
		files = append(files, vfs.Replacement{Name: in(at), Data: data[at]})
		add(path.Dir(in(at)))
	}
	for _, d := range steps {
		add(in(d))
	}
	each := func(n int, do func(int) error) error {
		return parallel(n, func(i int) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(i)
		})
	}
	replace := vfs.ReplaceEach
	if len(files) >= manyFiles {
		replace = vfs.ReplaceMany
	}
	err = replace(w.fs, files, slices.Sorted(maps.Keys(dirs)), 0o600, each, func() {})
	var pe *fs.PathError
	if errors.As(err, &pe) {
		bad = pe.Path
	}
	return bad, err
}

// parallel calls do for the numbers from 0 to n, several at a time, since most of the
// time goes by waiting for the disk. It returns one of the errors.
func parallel(n int, do func(i int) error) error {
	var next, stop atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for range min(8, n) {
		wg.Go(func() {
			for stop.Load() == 0 {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					stop.Store(1)
				}
			}
		})
	}
	wg.Wait()
	return first
}

// unwritable reports whether an error of the file system says that a path can never
// be that of a file here, whatever the disk does.
func unwritable(err error) bool {
	for _, e := range []error{syscall.ENAMETOOLONG, syscall.ENOTDIR, syscall.EISDIR, syscall.EINVAL, syscall.EILSEQ, syscall.ELOOP, fs.ErrExist} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
