package configdir

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// isExternal reports whether a path is that of a token file outside of the
// parent of the directory: absolute, or beginning with "..".
func isExternal(p string) bool {
	_, outside := poolkeeper.NormalizeTokenPath(p)
	return outside
}

// absolute finds an external file as the gateway would: from the parent.
func absolute(top, p string) string {
	if path.IsAbs(p) {
		return filepath.FromSlash(p)
	}
	return filepath.Join(top, filepath.FromSlash(p))
}

// findExternal is [reader.find] for a path that leaves the parent of the
// directory. Where links bring it back inside, it is a file like the others.
func (r *reader) findExternal(n named) (string, *scanned, error) {
	full := absolute(r.root.top, n.path.Path)
	real, err := filepath.EvalSymlinks(full)
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(real)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", nil, r.root.refusal(n.path.Path, err)
	case err != nil: // also a loop of links, and a name that no file can have
		r.report.tokenNote(n, CodeTokenMissing, "does not exist")
		return "", nil, nil
	case info.IsDir():
		r.report.tokenNote(n, CodeTokenDirectory, "is a directory: not followed")
		return "", nil, nil
	case !info.Mode().IsRegular():
		r.report.tokenNote(n, CodeSpecial, "is neither a file nor a directory: not read")
		return "", nil, nil
	}
	if p, ok := r.root.inside(filepath.ToSlash(real)); ok {
		f, code, text, err := r.lookUp(p)
		if f == nil && err == nil {
			r.report.tokenNote(n, code, text)
		}
		return p, f, err
	}
	in, err := os.OpenRoot(filepath.Dir(real))
	if err != nil {
		return "", nil, r.root.refusal(n.path.Path, err)
	}
	defer in.Close()
	data, err := r.root.readIn(in, filepath.Base(real), n.path.Path, poolkeeper.MaxDocument)
	if err != nil {
		return "", nil, err
	}
	return n.path.Path, &scanned{data, real}, nil
}

// externals are the directories outside of the parent into which token files are
// written.
type externals map[string]vfs.FS

// open opens the directory of an external file, nil where it does not exist;
// with make, it makes it.
func (t *target) openExternal(p string, make bool) error {
	dir := filepath.Dir(absolute(t.top, p))
	if t.outside[dir] != nil {
		return nil
	}
	if make {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return t.refusal(p, err)
		}
	}
	in, err := vfs.Open(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !make:
		return nil
	case err != nil:
		return t.refusal(p, err)
	}
	t.outside[dir] = in
	return nil
}

// atExternal is [target.at] for an external file.
func (t *target) atExternal(p string) (vfs.FS, string) {
	full := absolute(t.top, p)
	if in := t.outside[filepath.Dir(full)]; in != nil {
		return in, filepath.Base(full)
	}
	return nil, ""
}

// syncExternal syncs the directory of an external file.
func (t *target) syncExternal(p string) error {
	in, _ := t.atExternal(p)
	if err := in.SyncDir("."); err != nil {
		return t.refusal(p, err)
	}
	return nil
}
