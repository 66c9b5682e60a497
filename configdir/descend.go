package configdir

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
)

// few is how many directories one walker takes at a time.
const few = 64

// fewDirs reports whether one walker walks the directories among entries.
func fewDirs(entries []fs.DirEntry) bool {
	n := 0
	for _, e := range entries {
		if e.IsDir() {
			n++
		}
	}
	return n <= few
}

// descend walks the directories in a directory, some at a time. What it finds,
// and which of several errors it returns, is as if it had been one after the
// other.
func (w *walker) descend(in folder, dirs []fs.DirEntry, at, real string, above []string) error {
	if len(dirs) == 0 {
		return nil
	}
	type part struct {
		*walker
		err error
	}
	var parts []*part
	var wg sync.WaitGroup
	for some := range slices.Chunk(dirs, few) {
		p := &part{walker: w.part()}
		parts = append(parts, p)
		walk := func() { p.err = p.each(in, some, at, real, above) }
		select {
		case w.spare <- struct{}{}:
			wg.Go(func() {
				walk()
				<-w.spare
			})
		default:
			walk()
		}
		if p.ctx.Err() != nil {
			break
		}
	}
	wg.Wait()
	for _, p := range parts {
		if p.err != nil {
			return p.err
		}
		w.take(p.walker)
	}
	return w.ctx.Err()
}

// each walks directories one after the other.
func (w *walker) each(in folder, dirs []fs.DirEntry, at, real string, above []string) error {
	for _, e := range dirs {
		if err := w.enter(in, e.Name(), at+"/"+e.Name(), path.Join(real, e.Name()), above); err != nil {
			return err
		}
	}
	return nil
}

// part makes a walker for a part of the work.
func (w *walker) part() *walker {
	p := *w
	p.report, p.files = &Report{}, map[string]*scanned{}
	return &p
}

// take adds what a part has found.
func (w *walker) take(p *walker) {
	maps.Copy(w.files, p.files)
	w.report.Scanned += p.report.Scanned
	w.report.Transient = append(w.report.Transient, p.report.Transient...)
	w.report.Warnings = append(w.report.Warnings, p.report.Warnings...)
}
