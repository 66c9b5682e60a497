package vfs

import (
	"errors"
	"io/fs"
	"os"
	"slices"
)

// dirPerm is the mode of directories that are made.
const dirPerm = 0o700

// fresh are directories that are missing, made under temporary names: only the
// topmost of them need one.
type fresh struct {
	fsys FS
	tops map[string]string // the topmost → its temporary name
	dirs []string          // all of them
	done map[string]bool   // the topmost that have their names
}

// freshDirs finds those of the directories that are missing, of which each comes
// after the one that it lies in. One on another file system than top is made where
// it is to be.
func freshDirs(fsys FS, dirs []string, top fs.FileInfo) (*fresh, error) {
	f := &fresh{fsys: fsys, tops: map[string]string{}, done: map[string]bool{}}
	for _, d := range dirs {
		if _, in := f.at(d); in {
			f.dirs = append(f.dirs, d)
			continue
		}
		if info, err := fsys.Stat(d); err == nil && info.IsDir() {
			continue
		}
		_, err := fsys.Lstat(d)
		above, aboveErr := fsys.Stat(parent(d))
		if errors.Is(err, fs.ErrNotExist) && aboveErr == nil && sameDevice(above, top) {
			f.tops[d], f.dirs = tempName(d), append(f.dirs, d)
		} else if err := makeDir(fsys, d); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func makeDir(fsys FS, d string) error {
	if d == "." {
		return nil
	}
	return named(d, fsys.MkdirAll(d, dirPerm))
}

// at returns where a name is until all are renamed, if it is in one of them.
func (f *fresh) at(name string) (temp string, in bool) {
	if top := f.top(name); top != "" {
		return f.tops[top] + name[len(top):], true
	}
	return "", false
}

func (f *fresh) top(name string) string {
	if len(f.tops) == 0 {
		return ""
	}
	for d := name; d != "."; d = parent(d) {
		if f.tops[d] != "" {
			return d
		}
	}
	return ""
}

// write writes a file under its temporary name, and makes its directory for it.
func (f *fresh) write(at string, data []byte, perm fs.FileMode) error {
	const flag = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	file, err := f.fsys.OpenFile(at, flag, perm)
	if errors.Is(err, fs.ErrNotExist) {
		if err = f.fsys.MkdirAll(parent(at), dirPerm); err == nil {
			file, err = f.fsys.OpenFile(at, flag, perm)
		}
	}
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = withMode(file, perm)
	}
	if e := file.Close(); err == nil {
		err = e
	}
	return err
}

// makeEmpty makes those that have no files.
func (f *fresh) makeEmpty(files []Replacement) error {
	made := map[string]bool{}
	for i := range files {
		for d := parent(files[i].Name); d != "." && !made[d]; d = parent(d) {
			made[d] = true
		}
	}
	for _, d := range f.dirs {
		if at, _ := f.at(d); !made[d] {
			if err := f.fsys.MkdirAll(at, dirPerm); err != nil {
				return named(d, err)
			}
		}
	}
	return nil
}

// rename gives all of them their names.
func (f *fresh) rename() error {
	for d, temp := range f.tops {
		if err := f.fsys.Rename(temp, d); err != nil {
			return named(d, err)
		}
		f.done[d] = true
	}
	return nil
}

// remove takes away what has not got its name.
func (f *fresh) remove(files []Replacement) {
	if len(f.done) == len(f.tops) {
		return
	}
	names := make([]string, 0, len(f.dirs)+len(files))
	names = append(names, f.dirs...)
	for i := range files {
		names = append(names, files[i].Name)
	}
	for _, name := range slices.Backward(names) {
		if at, in := f.at(name); in && !f.done[f.top(name)] {
			f.fsys.Remove(at)
		}
	}
}
