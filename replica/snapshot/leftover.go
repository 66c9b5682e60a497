package snapshot

import (
	"path"
	"slices"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// sweep removes what a write that was cut off has left under temporary names, in the
// directories into which it wrote. What cannot be removed stays: no reader takes it
// for anything.
func (w *writer) sweep() {
	seen := map[string]bool{}
	for at := range w.known {
		for d := path.Dir(in(at)); d != "." && !seen[d]; d = path.Dir(d) {
			seen[d] = true
			entries, err := w.fs.ReadDir(d)
			if err != nil {
				continue
			}
			for _, e := range entries {
				if vfs.IsTemp(e.Name()) {
					w.removeAll(path.Join(d, e.Name()), e.IsDir())
				}
			}
		}
	}
}

func (w *writer) removeAll(name string, dir bool) {
	if dir {
		entries, _ := w.fs.ReadDir(name)
		for _, e := range entries {
			w.removeAll(path.Join(name, e.Name()), e.IsDir())
		}
	}
	w.fs.Remove(name)
}

// prune removes directories, and those above them, that have become empty and that no
// token path goes through.
func (w *writer) prune(dirs []string, steps []string) {
	for _, d := range dirs {
		for ; len(d) > len(treeDir) && d != in("configs"); d = path.Dir(d) {
			if slices.Contains(steps, d[len(treeDir)+1:]) {
				break
			}
			if entries, err := w.fs.ReadDir(d); err != nil || len(entries) > 0 || w.fs.Remove(d) != nil {
				break
			}
		}
	}
}
