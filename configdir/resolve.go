package configdir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/poolkeeper/poolkeeper"
)

// resolve follows the links of a path. What it returns has none, and lies in
// the parent of configs/; the error is errOutside, errLoop or one of the file
// system.
func (r *root) resolve(p string) (real string, info fs.FileInfo, err error) {
	var done []string
	rest := strings.Split(p, "/")
	for links := 0; len(rest) > 0; {
		step := rest[0]
		rest = rest[1:]
		switch step {
		case "", ".":
			continue
		case "..":
			if len(done) == 0 || len(done) == 1 && done[0] == Name && r.linked {
				return "", nil, errOutside
			}
			done = done[:len(done)-1]
			continue
		}
		if len(done) == 0 {
			step = r.mapped(step)
		}
		next := path.Join(append(done[:len(done):len(done)], step)...)
		in, name, err := r.at(next)
		if err != nil {
			return "", nil, err
		}
		if info, err = in.Lstat(filepath.FromSlash(name)); err != nil {
			return "", nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			if len(rest) > 0 && !info.IsDir() {
				return "", nil, &fs.PathError{Op: "lstat", Path: next, Err: fs.ErrNotExist}
			}
			done = append(done, step)
			continue
		}
		if links++; links > 40 {
			return "", nil, errLoop
		}
		target, err := in.Readlink(filepath.FromSlash(name))
		if err != nil {
			return "", nil, err
		}
		target = filepath.ToSlash(target)
		if path.IsAbs(target) {
			inside, ok := r.inside(target)
			if !ok {
				return "", nil, errOutside
			}
			target, done = inside, nil
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	real = path.Join(done...)
	in, name, err := r.at(real)
	if err != nil {
		return "", nil, err
	}
	info, err = in.Lstat(filepath.FromSlash(cmpDot(name)))
	return cmpDot(real), info, err
}

func cmpDot(p string) string {
	if p == "" {
		return "."
	}
	return p
}

// hasName reports whether something lies at a path, whose directory is resolved.
func (r *root) hasName(p string) bool {
	in, name, err := r.at(p)
	if err != nil {
		return false
	}
	_, err = in.Lstat(filepath.FromSlash(name))
	return err == nil
}

// read reads a regular file by its resolved path.
func (r *root) read(real string, limit int64) ([]byte, error) {
	in, name, err := r.at(real)
	if err != nil {
		return nil, r.refusal(real, err)
	}
	return r.readIn(in, filepath.FromSlash(name), real, limit)
}

// readIn reads a regular file of a directory. Errors name it as p.
func (r *root) readIn(in *os.Root, name, p string, limit int64) ([]byte, error) {
	// Without O_NONBLOCK, a pipe that took the place of the file would block.
	f, err := in.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, r.listed(p, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, r.refusal(p, err)
	}
	if !info.Mode().IsRegular() {
		return nil, r.refuse(p, poolkeeper.ErrInvalid, "it is not a regular file")
	}
	if info.Size() > limit {
		return nil, r.refuse(p, poolkeeper.ErrTooLarge, "it has %d bytes; the limit is %d", info.Size(), limit)
	}
	return r.readFile(f, info, p)
}

// readFile reads an open file, of which info was just asked.
func (r *root) readFile(f *os.File, info fs.FileInfo, p string) ([]byte, error) {
	data := make([]byte, info.Size()+1)
	n, err := io.ReadFull(f, data)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, r.refusal(p, err)
	}
	now, err := f.Stat()
	if err != nil {
		return nil, r.refusal(p, err)
	}
	if int64(n) != info.Size() || now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime()) {
		return nil, r.changed(p)
	}
	return data[:n:n], nil
}

// changed is the error about what is not as it was a moment ago.
func (r *root) changed(p string) *poolkeeper.Error {
	return r.refuse(p, poolkeeper.ErrConflict, "it changed while the directory was read").WithHint("stop the gateway, or try again")
}

// listed is the error of the file system about a name that a directory has just
// listed: what is gone has changed.
func (r *root) listed(p string, err error) *poolkeeper.Error {
	if errors.Is(err, fs.ErrNotExist) {
		return r.changed(p)
	}
	return r.refusal(p, err)
}
