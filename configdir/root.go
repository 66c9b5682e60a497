package configdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A root reaches the configs/ directory and its parent, and nothing else: all
// access goes through an os.Root, after links were resolved here. Its paths are
// those of a snapshot.
type root struct {
	prefixes
	given string // the directory as the caller named it
	top   string // its parent, with links resolved
	// linked says that the directory is a link to somewhere else, so that ".."
	// in it is not its parent.
	linked bool

	dir *os.Root

	mu     sync.Mutex // guards parent
	parent *os.Root   // opened on first use
}

var (
	errOutside = errors.New("it leaves the parent of the directory")
	errLoop    = errors.New("it is a loop of links")
)

// openRoot opens an existing configs/ directory.
func openRoot(dir string) (*root, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "%v", err)
	}
	r := &root{given: dir}
	info, err := os.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, r.refuse("", poolkeeper.ErrNotFound, "the directory is missing: %s", reason(err)).
			WithHint("name the configs/ directory of a gateway by --config-dir or POOLKEEPER_CONFIG_DIR, or make one with: poolkeeper init")
	}
	if err != nil {
		return nil, r.refusal("", err)
	}
	if !info.IsDir() {
		return nil, r.refuse("", poolkeeper.ErrInvalid, "it is not a directory")
	}
	real, err := filepath.EvalSymlinks(full)
	if err != nil {
		return nil, r.refusal("", err)
	}
	if r.top, err = filepath.EvalSymlinks(filepath.Dir(full)); err != nil {
		return nil, r.refusal("", err)
	}
	r.linked = real != filepath.Join(r.top, filepath.Base(full))
	r.prefixes = newPrefixes(full, real, r.top)
	if r.dir, err = os.OpenRoot(full); err != nil {
		return nil, r.refusal("", err)
	}
	return r, nil
}

// notParent refuses the directory of a gateway where its configs/ is asked for: all
// that a gateway consists of would be carried, and none of it read.
func (r *root) notParent() error {
	has := func(p string) bool {
		_, err := r.dir.Lstat(p)
		return err == nil
	}
	if has(path.Base(configFile)) || has(path.Base(poolsFile)) || !has(configFile) && !has(poolsFile) {
		return nil
	}
	return r.refuse("", poolkeeper.ErrInvalid, "it has neither %s nor %s, and a directory %s which has",
		path.Base(configFile), path.Base(poolsFile), Name).
		WithHint("name that one: %s", show.Name(filepath.Join(r.given, Name)))
}

func (r *root) close() {
	r.dir.Close()
	if r.parent != nil {
		r.parent.Close()
	}
}

// display names a path of a snapshot as the caller would find it.
func (r *root) display(p string) string { return display(r.given, p) }

func display(given, p string) string {
	if p == "" {
		return show.Name(given)
	}
	if path.IsAbs(p) {
		return show.Name(p)
	}
	if rest, ok := inDir(p); ok {
		return show.Name(filepath.Join(given, filepath.FromSlash(rest)))
	}
	return show.Name(filepath.Join(filepath.Dir(filepath.Clean(given)), filepath.FromSlash(p)))
}

// refuse is the error that ends a transfer, naming the file.
func (r *root) refuse(p string, sentinel error, format string, args ...any) *poolkeeper.Error {
	return &poolkeeper.Error{Action: "read", Key: r.display(p), Err: sentinel, Detail: fmt.Sprintf(format, args...)}
}

// refusal is [root.refuse] for an error of the file system.
func (r *root) refusal(p string, err error) *poolkeeper.Error {
	sentinel := poolkeeper.ErrInvalid
	switch {
	case errors.Is(err, fs.ErrNotExist):
		sentinel = poolkeeper.ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		sentinel = poolkeeper.ErrForbidden
	}
	return r.refuse(p, sentinel, "%s", reason(err))
}

// reason is what an error of the file system says, without the path, which
// the caller prints in its own way.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err.Error()
	}
	return err.Error()
}

// at returns the os.Root that a resolved path lies in, and its name there.
func (r *root) at(p string) (*os.Root, string, error) {
	if rest, ok := inDir(p); ok {
		return r.dir, rest, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parent == nil {
		parent, err := os.OpenRoot(r.top)
		if err != nil {
			return nil, "", err
		}
		r.parent = parent
	}
	return r.parent, p, nil
}
