package configdir

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// A scanned is a regular file that a walk found, under the path that it was
// found by.
type scanned struct {
	data []byte
	real string // the path with links resolved, which tells files apart
}

// A walker reads all files of a directory.
type walker struct {
	ctx    context.Context
	root   *root
	report *Report
	files  map[string]*scanned
	links  *atomic.Int64 // links to directories that were followed
	bytes  *atomic.Int64 // of all files
	most   int64         // that they may have
	spare  chan struct{} // holds one for each more walker that may run
}

func newWalker(ctx context.Context, root *root, report *Report) *walker {
	return &walker{ctx: ctx, root: root, report: report, files: map[string]*scanned{}, links: new(atomic.Int64), bytes: new(atomic.Int64), spare: make(chan struct{}, walkers-1)}
}

// walkers is how many directories are read at a time: most of the time goes by
// waiting for the file system.
const walkers = 8

// maxLinks bounds the links to directories that one walk follows: links among
// a few directories can make a tree of any size.
const maxLinks = 1000

// maxPools bounds provider_pools.json, which becomes many values and has no
// limit as one.
const maxPools = 1 << 30

// limitOf is the most bytes that a file may have.
func limitOf(p string) int64 {
	switch {
	case p == poolsFile:
		return maxPools
	case p == passwordFile:
		return poolkeeper.MaxPassword
	case isReserved(p):
		return poolkeeper.MaxDocument
	}
	return poolkeeper.MaxFile
}

// walk reads what lies in the directory in, which has the path at, and the
// resolved path real. above are the resolved paths of the directories through
// which a link led here.
func (w *walker) walk(in *os.Root, at, real string, above []string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	f, err := in.Open(".")
	if err != nil {
		return w.root.refusal(at, err)
	}
	defer f.Close()
	entries, err := w.list(f, at)
	if err != nil {
		return err
	}
	here := folder{in, f}
	var dirs []fs.DirEntry // to be walked at the end, where they are many
	some := fewDirs(entries)
	for _, e := range entries {
		p, rp := at+"/"+e.Name(), path.Join(real, e.Name())
		if poolkeeper.ValidatePath(p) != nil || !utf8.ValidString(e.Name()) {
			w.report.note(p, "", CodeName, "left out: its path is longer than %d bytes or no UTF-8", poolkeeper.MaxPath)
			continue
		}
		switch e.Type() {
		case 0:
			err = w.file(p, rp, func(limit int64) ([]byte, error) { return w.root.readIn(in, e.Name(), p, limit) })
		case fs.ModeDir:
			if some {
				err = w.enter(here, e.Name(), p, rp, above)
			} else {
				dirs = append(dirs, e)
			}
		case fs.ModeSymlink:
			err = w.link(p, real, above)
		default:
			err = w.special(p)
		}
		if err != nil {
			return err
		}
	}
	return w.descend(here, dirs, at, real, above)
}

// A folder is a directory that is being read.
type folder struct {
	*os.Root
	f *os.File // nil where names may be longer than one step
}

func (w *walker) list(f *os.File, at string) ([]fs.DirEntry, error) {
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, w.root.refusal(at, err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// LockFile is what an instance that has the directory as its store keeps in it.
// It is nobody's content: no report names it.
const LockFile = ".poolkeeper.lock"

// file takes a regular file, unless it is transient.
func (w *walker) file(p, real string, read func(limit int64) ([]byte, error)) error {
	if p == Name+"/"+LockFile {
		return nil
	}
	w.report.Scanned++
	if isTransient(p) {
		w.report.Transient = append(w.report.Transient, p)
		return nil
	}
	data, err := read(limitOf(p))
	if err != nil {
		return err
	}
	if w.bytes.Add(int64(len(data))) > w.most {
		return w.root.refuse(p, poolkeeper.ErrTooLarge, "with it the files of the directory have more than %d bytes together", w.most).
			WithHint("move what is not the gateway's out of the directory")
	}
	w.files[p] = &scanned{data, real}
	return nil
}

// enter walks a directory, unless it is what a write has left behind.
func (w *walker) enter(in folder, name, p, real string, above []string) error {
	if vfs.IsTemp(path.Base(p)) {
		w.report.Transient = append(w.report.Transient, p)
		return nil
	}
	if p == configFile || p == poolsFile || p == passwordFile {
		return w.root.refuse(p, poolkeeper.ErrInvalid, "it is a directory, and must be a file")
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if done, err := w.leaf(in, name, p, real); done {
		return err
	}
	sub, err := in.OpenRoot(name)
	if err != nil {
		return w.root.listed(p, err)
	}
	defer sub.Close()
	return w.walk(sub, p, real, above)
}

// link follows a symbolic link that lies in the directory real.
func (w *walker) link(p, real string, above []string) error {
	target, info, err := w.root.resolve(p)
	if err != nil {
		text := "a dangling link, left out"
		switch {
		case errors.Is(err, errOutside):
			text = "a link that leaves the parent of the directory, left out"
		case errors.Is(err, errLoop):
			text = "a loop of links, left out"
		case !errors.Is(err, fs.ErrNotExist):
			return w.root.refusal(p, err)
		case !w.root.hasName(path.Join(real, path.Base(p))):
			return w.root.changed(p)
		}
		if p == configFile || p == poolsFile || p == passwordFile {
			return w.root.refuse(p, poolkeeper.ErrInvalid, "%s", strings.TrimSuffix(text, ", left out")).
				WithHint("put the file itself there")
		}
		w.report.note(p, "", CodeLink, "%s", text)
		return nil
	}
	switch {
	case info.Mode().IsRegular():
		return w.file(p, target, func(limit int64) ([]byte, error) { return w.root.read(target, limit) })
	case !info.IsDir():
		return w.special(p)
	}
	chain := append(above[:len(above):len(above)], real)
	for _, dir := range chain {
		if target == "." || dir == target || strings.HasPrefix(dir, target+"/") {
			w.report.note(p, "", CodeLink, "a link to a directory that it lies in, not followed")
			return nil
		}
	}
	if w.links.Add(1) > maxLinks {
		w.report.note(p, "", CodeLink, "left out: more than %d links to directories", maxLinks)
		return nil
	}
	in, name, err := w.root.at(target)
	if err != nil {
		return w.root.refusal(p, err)
	}
	return w.enter(folder{Root: in}, name, p, target, chain)
}

func (w *walker) special(p string) error {
	if p == configFile || p == poolsFile || p == passwordFile {
		return w.root.refuse(p, poolkeeper.ErrInvalid, "it is not a regular file")
	}
	w.report.note(p, "", CodeSpecial, "neither a file nor a directory, left out")
	return nil
}
