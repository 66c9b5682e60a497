package configdir

import (
	"path"
	"path/filepath"
	"strings"
)

// prefixes turn the texts of paths into paths of a snapshot. No file is looked
// at.
type prefixes struct {
	base string   // what the directory is called on disk
	abs  []string // how absolute paths into the parent begin
	mean []string // what each of them is called in a snapshot
}

// newPrefixes takes the absolute path of a directory, and those of it and of
// its parent with links resolved.
func newPrefixes(full, real, top string) prefixes {
	return prefixes{
		base: filepath.Base(full),
		abs:  []string{full, real, filepath.Dir(full), top},
		mean: []string{Name, Name, ".", "."},
	}
}

// inside turns the text of a path into that of a snapshot, if it lies in the
// parent of configs/ as far as the text says.
func (x prefixes) inside(text string) (p string, ok bool) {
	p = path.Clean(text)
	if path.IsAbs(p) {
		for i, prefix := range x.abs {
			prefix = filepath.ToSlash(prefix)
			if p == prefix {
				return x.mean[i], true
			}
			if rest, ok := strings.CutPrefix(p, strings.TrimSuffix(prefix, "/")+"/"); ok {
				return x.mapped(path.Join(x.mean[i], rest)), true
			}
		}
		return "", false
	}
	if p == ".." || strings.HasPrefix(p, "../") {
		return "", false
	}
	return x.mapped(p), true
}

// mapped gives the directory its name in a snapshot.
func (x prefixes) mapped(p string) string {
	if first, rest, more := strings.Cut(p, "/"); first == x.base {
		if !more {
			return Name
		}
		return Name + "/" + rest
	}
	return p
}

// inDir returns the part of a path behind configs/, "." for itself.
func inDir(p string) (rest string, ok bool) {
	if p == Name {
		return ".", true
	}
	return strings.CutPrefix(p, Name+"/")
}
