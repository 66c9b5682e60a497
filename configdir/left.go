package configdir

import (
	"io/fs"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// list says of each file whether it is new, and what else the directory has.
func (t *target) list(files map[string]File, report *Report) error {
	dirs := map[string]bool{} // those that lead to a file
	for p := range files {
		switch {
		case t.same[p]:
		case t.there[p]:
			report.Replaced = append(report.Replaced, p)
		default:
			report.Written = append(report.Written, p)
		}
		for i := strings.LastIndexByte(p, '/'); i > 0; i = strings.LastIndexByte(p[:i], '/') {
			if dirs[p[:i]] {
				break
			}
			dirs[p[:i]] = true
		}
	}
	if t.dir == nil || !t.force {
		return nil // it is empty
	}
	return t.left(".", Name, func(p string) {
		if _, ours := files[p]; !ours && !dirs[p] {
			report.Left = append(report.Left, p)
		}
	})
}

// left calls found for everything in the directory but directories, and for those
// that a write has left behind. A link is what it is called; it is not followed.
func (t *target) left(name, at string, found func(string)) error {
	entries, err := t.dir.ReadDir(name)
	if err != nil {
		return t.refusal(at, err)
	}
	for _, e := range entries {
		sub, p := name+"/"+e.Name(), at+"/"+e.Name()
		if e.Type() != fs.ModeDir || vfs.IsTemp(e.Name()) {
			found(p)
		} else if err := t.left(sub, p, found); err != nil {
			return err
		}
	}
	return nil
}
