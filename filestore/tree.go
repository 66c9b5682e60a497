package filestore

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// A tree reaches the files of a configs/ directory and of its parent, by the
// paths of a snapshot. A link is written through to what it leads to, if that
// lies inside.
type tree struct {
	dir    string // absolute, as it was given
	real   string // the same with links resolved
	top    string // its parent, with links resolved
	inside vfs.FS
	parent vfs.FS
}

var errOutside = errors.New("it is a link that leaves the parent of the directory")

func openTree(dir string, open func(string) (vfs.FS, error)) (t *tree, err error) {
	t = &tree{dir: dir}
	if t.real, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	if t.top, err = filepath.EvalSymlinks(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	if t.inside, err = open(t.real); err != nil {
		return nil, err
	}
	if t.parent, err = open(t.top); err != nil {
		t.inside.Close()
		return nil, err
	}
	return t, nil
}

func (t *tree) close() {
	t.inside.Close()
	t.parent.Close()
}

// full is where a path of a snapshot lies on the disk, links not resolved.
func (t *tree) full(p string) string {
	if p == configdir.Name {
		return t.real
	}
	if rest, ok := strings.CutPrefix(p, configdir.Name+"/"); ok {
		return filepath.Join(t.real, filepath.FromSlash(rest))
	}
	return filepath.Join(t.top, filepath.FromSlash(p))
}

// at finds the file that a path leads to.
func (t *tree) at(p string) (fsys vfs.FS, name string, err error) {
	full := t.full(p)
	// Of what does not exist yet, the directories above may be links.
	missing := ""
	for {
		real, err := filepath.EvalSymlinks(full)
		if err == nil {
			full = filepath.Join(real, missing)
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
		if _, err := os.Lstat(full); err == nil && missing == "" {
			return nil, "", errOutside // a link to nowhere: what it leads to may lie anywhere
		}
		missing = filepath.Join(filepath.Base(full), missing)
		full = filepath.Dir(full)
	}
	for _, root := range []struct {
		fs   vfs.FS
		path string
	}{{t.inside, t.real}, {t.parent, t.top}} {
		if rel, err := filepath.Rel(root.path, full); err == nil && filepath.IsLocal(rel) {
			return root.fs, filepath.ToSlash(rel), nil
		}
	}
	return nil, "", errOutside
}

// read returns the bytes of a file, nil where there is none.
func (t *tree) read(p string) ([]byte, error) {
	fsys, name, err := t.at(p)
	if errors.Is(err, errOutside) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) || err == nil && !info.Mode().IsRegular() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := vfs.ReadFile(fsys, name, info.Size()+1<<20)
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}

// replace makes a file have some bytes, with the directories that it needs. The
// directory of the file, which it returns, is not synced.
func (t *tree) replace(p string, data []byte) (dir dirName, err error) {
	fsys, name, err := t.at(p)
	if err != nil {
		return dirName{}, err
	}
	parent := path.Dir(name)
	if _, err := fsys.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		if err := t.makeDirs(fsys, parent); err != nil {
			return dirName{}, err
		}
	}
	return dirName{fsys, parent}, vfs.Replace(fsys, name, data, 0o600)
}

// missing are those of some directories that do not exist.
func (t *tree) missing(dirs []string) []string {
	var missing []string
	for _, p := range dirs {
		if _, err := os.Stat(t.full(p)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, p)
		}
	}
	return missing
}

// makeStep makes a directory that a token path goes through.
func (t *tree) makeStep(p string) error {
	fsys, name, err := t.at(p)
	if err != nil {
		return err
	}
	return t.makeDirs(fsys, name)
}

// makeDirs makes directories whose names are durable.
func (t *tree) makeDirs(fsys vfs.FS, name string) error {
	if _, err := fsys.Stat(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.makeDirs(fsys, path.Dir(name)); err != nil {
		return err
	}
	if err := fsys.MkdirAll(name, 0o700); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

// remove removes a file; the link, where it is one.
func (t *tree) remove(p string) (dir dirName, err error) {
	fsys, name := t.inside, strings.TrimPrefix(p, configdir.Name+"/")
	if name == p {
		fsys = t.parent
	}
	err = fsys.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return dirName{fsys, path.Dir(name)}, err
}

// A dirName is a directory that is to be synced.
type dirName struct {
	fs   vfs.FS
	name string
}

// unwritable reports whether an error of the file system says that a path can
// never be that of a file here, whatever the disk does.
func unwritable(err error) bool {
	for _, e := range []error{errOutside, syscall.ENAMETOOLONG, syscall.ENOTDIR, syscall.EISDIR, syscall.EINVAL, syscall.EILSEQ, syscall.ELOOP, fs.ErrExist} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
