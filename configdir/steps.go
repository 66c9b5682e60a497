package configdir

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// steps are the directories out of which a token path goes up again: for the
// gateway a/../b.json is there only where a is.
func (l *layout) steps(x prefixes) []string {
	dirs := map[string]bool{}
	for _, pool := range l.pools {
		for i := range pool.Providers {
			// Most have none, and need not be parsed.
			if def := pool.Providers[i].Definition; !bytes.Contains(def, []byte("..")) && !bytes.Contains(def, []byte(`\u002`)) {
				continue
			}
			for _, tp := range poolkeeper.TokenPaths(pool.Providers[i].Definition) {
				if path.IsAbs(tp.Raw) || !strings.Contains(tp.Raw, "..") {
					continue
				}
				if at, ok := x.inside(tp.Raw); ok && l.has(at) {
					l.stepsOf(tp.Raw, x, dirs)
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(dirs))
}

func (l *layout) has(p string) bool { _, ok := l.files[p]; return ok }

func (l *layout) stepsOf(text string, x prefixes, dirs map[string]bool) {
	at := "."
	for step := range strings.SplitSeq(text, "/") {
		if step != ".." {
			at = path.Join(at, step)
			continue
		}
		if dir := x.mapped(at); l.canBeDir(dir) {
			dirs[dir] = true
		}
		at = path.Dir(at)
	}
}

// canBeDir reports whether no file is in the way of a directory.
func (l *layout) canBeDir(dir string) bool {
	if poolkeeper.ValidatePath(dir) != nil {
		return false
	}
	for d := dir; d != "."; d = path.Dir(d) {
		if l.has(d) || isReserved(d) {
			return false
		}
	}
	return true
}

// checkSteps makes sure that nothing is in the way of directories.
func (t *target) checkSteps(dirs []string) error {
	for _, dir := range dirs {
		in, name := t.at(dir)
		if in == nil {
			continue
		}
		info, err := in.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return t.refusal(dir, err)
		case !info.IsDir():
			return t.exists(dir, "a file is in the way of a directory", "remove it")
		}
	}
	return nil
}
