package configdir

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/show"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// A target is a directory to be written.
type target struct {
	prefixes
	given string
	full  string // absolute
	force bool

	top     string // the parent, with links resolved
	parent  vfs.FS // nil until the parent exists
	dir     vfs.FS // nil until the directory exists
	outside externals
	there   map[string]bool // files that are to be replaced
	same    map[string]bool

	progress func(done, total int)
	mu       sync.Mutex // guards done, and the calls of progress
	done     int
	total    int
}

// newTarget looks at a directory that need not exist.
func newTarget(dir string, force bool) (*target, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%v", err)
	}
	if filepath.Dir(full) == full {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s has no parent, where the gateway would run", show.Name(full))
	}
	real, top := full, filepath.Dir(full)
	if r, err := filepath.EvalSymlinks(top); err == nil {
		top = r
	}
	if r, err := filepath.EvalSymlinks(full); err == nil {
		real = r
	}
	return &target{prefixes: newPrefixes(full, real, top), given: dir, full: full, top: top, force: force, outside: externals{}, there: map[string]bool{}, same: map[string]bool{}}, nil
}

// open opens the directory and its parent as far as they exist; with make, it
// makes them.
func (t *target) open(make bool) error {
	if make {
		if err := os.MkdirAll(t.full, 0o700); err != nil {
			return t.refusal("", err)
		}
	}
	for _, r := range []struct {
		root *vfs.FS
		path string
	}{{&t.parent, filepath.Dir(t.full)}, {&t.dir, t.full}} {
		if *r.root != nil {
			continue
		}
		var err error
		if *r.root, err = vfs.Open(r.path); err != nil {
			*r.root = nil
			if errors.Is(err, fs.ErrNotExist) && !make {
				continue
			}
			return t.refusal("", err)
		}
	}
	return nil
}

func (t *target) close() {
	for _, r := range []vfs.FS{t.parent, t.dir} {
		if r != nil {
			r.Close()
		}
	}
	for _, r := range t.outside {
		r.Close()
	}
}

// at returns the vfs.FS that a path lies in, nil where it does not exist yet,
// and its name there.
func (t *target) at(p string) (vfs.FS, string) {
	if isExternal(p) {
		return t.atExternal(p)
	}
	if rest, ok := inDir(p); ok {
		return t.dir, rest
	}
	return t.parent, p
}

func (t *target) refusal(p string, err error) error {
	sentinel := poolkeeper.ErrInvalid
	switch {
	case errors.Is(err, fs.ErrPermission):
		sentinel = poolkeeper.ErrForbidden
	case errors.Is(err, fs.ErrExist):
		sentinel = poolkeeper.ErrExists
	}
	return &poolkeeper.Error{Action: "write", Key: display(t.given, p), Err: sentinel, Detail: reason(err)}
}

func (t *target) exists(p, detail, hint string) error {
	return &poolkeeper.Error{Action: "write", Key: display(t.given, p), Err: poolkeeper.ErrExists, Detail: detail, Hint: hint}
}

// check makes sure that nothing is in the way of the files.
func (t *target) check(files map[string]File) error {
	if t.dir != nil && !t.force {
		entries, err := t.dir.ReadDir(".")
		if err != nil {
			return t.refusal("", err)
		}
		if len(entries) > 0 {
			return t.exists("", "the directory is not empty", "name another one, or use force to replace the files in it")
		}
	}
	for p, f := range files {
		if _, ok := inDir(p); ok && !t.force {
			continue // it is empty
		}
		if isExternal(p) {
			if err := t.openExternal(p, false); err != nil {
				return err
			}
		}
		if err := t.checkFile(p, f.Data); err != nil {
			return err
		}
	}
	return nil
}

func (t *target) checkFile(p string, data []byte) error {
	in, name := t.at(p)
	if in == nil {
		return nil
	}
	// Stat goes through the directories of the path, and fails where a link
	// among them leaves the root.
	if _, err := in.Stat(path.Dir(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return t.refusal(p, err)
	}
	info, err := in.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return t.refusal(p, err)
	case info.IsDir():
		return t.exists(p, "a directory is in the way of the file", "remove it")
	case t.force:
		t.there[p] = true
		return nil
	}
	if info.Mode().IsRegular() && info.Size() == int64(len(data)) {
		if old, err := vfs.ReadFile(in, name, info.Size()); err == nil && bytes.Equal(old, data) {
			t.same[p] = true
			return nil
		}
	}
	return t.exists(p, "a file is there already, with other content", "use force to replace it")
}

// write writes the files: first what others refer to, then the pools, then
// config.json. steps are directories that must be there beside those of files.
func (t *target) write(ctx context.Context, files map[string]File, steps []string) error {
	t.total = len(files) - len(t.same)
	var first, external []string
	dirs := map[string]bool{Name: true, ".": true}
	for _, p := range steps {
		for d := p; !dirs[d]; d = path.Dir(d) {
			dirs[d] = true
		}
	}
	for p := range files {
		switch {
		case t.same[p]:
			continue
		case isExternal(p):
			if err := t.openExternal(p, true); err != nil {
				return err
			}
			external = append(external, p)
			first = append(first, p)
			continue
		}
		for d := path.Dir(p); !dirs[d]; d = path.Dir(d) {
			dirs[d] = true
		}
		if p != poolsFile && p != configFile {
			first = append(first, p)
		}
	}
	slices.Sort(first)
	all := make([]string, 0, len(dirs))
	for d := range dirs {
		all = append(all, d)
	}
	slices.Sort(all)
	if err := t.writeMany(ctx, first, all, files); err != nil {
		return err
	}
	if err := inParallel(ctx, external, t.syncExternal); err != nil {
		return err
	}
	for _, p := range []string{poolsFile, configFile} {
		f, ok := files[p]
		if !ok {
			continue
		}
		if err := t.replace(p, f.Data); err != nil {
			return err
		}
		if err := t.sync(Name); err != nil {
			return err
		}
	}
	return nil
}

// manyFiles is from how many files on it pays to sync a whole file system, with what
// others have written to it, in place of each file.
const manyFiles = 256

// writeMany writes files and makes the names in directories durable, those of one
// root together.
func (t *target) writeMany(ctx context.Context, paths, dirs []string, files map[string]File) error {
	type part struct {
		files []vfs.Replacement
		dirs  []string
		paths map[string]string // by the names
	}
	parts := map[vfs.FS]*part{}
	of := func(p string) (*part, string, error) {
		in, name := t.at(p)
		if in == nil {
			return nil, "", t.unopened(p)
		}
		if parts[in] == nil {
			parts[in] = &part{paths: map[string]string{}}
		}
		parts[in].paths[name] = p
		return parts[in], name, nil
	}
	for _, p := range paths {
		to, name, err := of(p)
		if err != nil {
			return err
		}
		to.files = append(to.files, vfs.Replacement{Name: name, Data: files[p].Data})
	}
	for _, d := range dirs {
		to, name, err := of(d)
		if err != nil {
			return err
		}
		to.dirs = append(to.dirs, name)
	}
	for in, p := range parts {
		each := func(n int, do func(int) error) error { return parallel(ctx, n, do) }
		replace := vfs.ReplaceEach
		if len(p.files) >= manyFiles {
			replace = vfs.ReplaceMany
		}
		err := replace(in, p.files, p.dirs, 0o600, each, t.written)
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return t.refusal(p.paths[pe.Path], pe)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// written counts a file.
func (t *target) written() {
	if t.progress != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.done++
		t.progress(t.done, t.total)
	}
}

func (t *target) unopened(p string) error {
	return &poolkeeper.Error{Action: "write", Key: display(t.given, p), Err: poolkeeper.ErrInternal, Detail: "its directory is not open"}
}

// replace writes one file.
func (t *target) replace(p string, data []byte) error {
	in, name := t.at(p)
	if in == nil {
		return t.unopened(p)
	}
	if err := vfs.Replace(in, name, data, 0o600); err != nil {
		return t.refusal(p, err)
	}
	t.written()
	return nil
}

func (t *target) sync(p string) error {
	in, name := t.at(p)
	if err := in.SyncDir(name); err != nil {
		return t.refusal(p, err)
	}
	return nil
}
