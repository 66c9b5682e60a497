package vfs

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"sync/atomic"
)

// A Syncer makes durable all that was written to a file system since the Syncer
// was made: bytes and names. It tells of errors since then.
type Syncer interface {
	Sync() error
	Close() error
}

// A Replacement is a file that is to be replaced.
type Replacement struct {
	Name string
	Data []byte
}

// ReplaceMany is [ReplaceEach] where the file system can be synced as a whole. That is
// done twice, in place of once for each file and each directory: between the writing
// of all files and the first rename, and at the end. A directory that is missing is
// made under a temporary name, with all that is to be in it, and renamed as one.
// Where it fails, each file is the old or the new one.
func ReplaceMany(fsys FS, files []Replacement, dirs []string, perm fs.FileMode, each func(n int, do func(i int) error) error, written func()) error {
	all, err := fsys.SyncAll()
	if errors.Is(err, errors.ErrUnsupported) {
		return ReplaceEach(fsys, files, dirs, perm, each, written)
	}
	if err != nil {
		return err
	}
	defer all.Close()
	top, err := fsys.Stat(".")
	if err != nil {
		return err
	}
	fresh, err := freshDirs(fsys, dirs, top)
	if err != nil {
		return err
	}
	temps := make([]string, len(files))
	defer func() {
		for _, temp := range temps {
			if temp != "" {
				fsys.Remove(temp)
			}
		}
		fresh.remove(files)
	}()
	var elsewhere atomic.Bool // a directory is another file system
	err = each(len(files), func(i int) error {
		if at, in := fresh.at(files[i].Name); in {
			if err := fresh.write(at, files[i].Data, perm); err != nil {
				return named(files[i].Name, err)
			}
			written()
			return nil
		}
		temp, f, err := create(fsys, files[i].Name, perm)
		if err != nil {
			return named(files[i].Name, err)
		}
		temps[i] = temp
		err = fill(fsys, f, files[i].Name, files[i].Data, perm)
		if info, e := f.Stat(); err == nil && (e != nil || !sameDevice(info, top)) {
			elsewhere.Store(true)
			err = f.Sync()
		}
		if e := f.Close(); err == nil {
			err = e
		}
		return named(files[i].Name, err)
	})
	if err == nil {
		err = fresh.makeEmpty(files)
	}
	if err == nil {
		err = all.Sync()
	}
	if err == nil {
		err = fresh.rename()
	}
	if err == nil {
		err = each(len(files), func(i int) error {
			if temps[i] == "" {
				return nil
			}
			if err := fsys.Rename(temps[i], files[i].Name); err != nil {
				return named(files[i].Name, err)
			}
			temps[i] = ""
			written()
			return nil
		})
	}
	if err == nil {
		err = all.Sync()
	}
	if err == nil && elsewhere.Load() {
		err = syncDirs(fsys, dirs, each)
	}
	return err
}

// ReplaceEach is [Replace] for several files, and makes the names in dirs durable.
// Those are the directories that the files are in, with all above them, and others
// that are to be there; what is missing is made. each calls do for the numbers from 0
// to n, in any order, several at a time, and returns an error of one. written is called
// after each file, possibly by several at a time. An error about a file or a directory
// is a [fs.PathError] with its name.
func ReplaceEach(fsys FS, files []Replacement, dirs []string, perm fs.FileMode, each func(n int, do func(i int) error) error, written func()) error {
	for _, d := range dirs {
		if err := makeDir(fsys, d); err != nil {
			return err
		}
	}
	err := each(len(files), func(i int) error {
		if err := Replace(fsys, files[i].Name, files[i].Data, perm); err != nil {
			return named(files[i].Name, err)
		}
		written()
		return nil
	})
	if err != nil {
		return err
	}
	return syncDirs(fsys, dirs, each)
}

func syncDirs(fsys FS, dirs []string, each func(n int, do func(i int) error) error) error {
	return each(len(dirs), func(i int) error { return named(dirs[i], fsys.SyncDir(dirs[i])) })
}

// named gives an error of the file system the name that the caller knows.
func named(name string, err error) error {
	if err == nil {
		return nil
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return &fs.PathError{Op: link.Op, Path: name, Err: link.Err}
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		return &fs.PathError{Op: p.Op, Path: name, Err: p.Err}
	}
	return &fs.PathError{Op: "write", Path: name, Err: err}
}

// tempName is a temporary name beside another one.
func tempName(name string) string {
	var random [8]byte
	rand.Read(random[:]) // never fails
	return path.Join(parent(name), TempPrefix+hex.EncodeToString(random[:])+tempSuffix)
}

// create makes the temporary file that is to become the file of a name.
func create(fsys FS, name string, perm fs.FileMode) (temp string, f File, err error) {
	temp = tempName(name)
	f, err = fsys.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	return temp, f, err
}

// fill gives a temporary file its bytes, and the mode and the owner of the file that
// it is to replace.
func fill(fsys FS, f File, name string, data []byte, perm fs.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = keepOwner(fsys, f, name, perm)
	}
	return err
}
