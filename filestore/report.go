package filestore

import (
	"slices"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
)

// Bounds of what is remembered for the operator.
const (
	maxNotes = 50
	noteLife = 7 * 24 * time.Hour
)

// A Note is what happened to an edit by others, or to what was ours.
type Note struct {
	At   int64  `json:"at"`
	Text string `json:"text"`
}

// A report is what an operator should know.
type report struct {
	mu        sync.Mutex
	notes     []Note
	problem   string   // why the files are behind
	unwritten []string // what no file can be made of
	outside   []string // token files that are not read
	restoring bool
	written   time.Time // when the files were last written
}

// note remembers something, and logs it.
func (s *Store) note(text string) {
	s.log.Warn(text, "dir", s.dir)
	s.report.mu.Lock()
	defer s.report.mu.Unlock()
	s.report.notes = append(s.report.notes, Note{s.now().UnixMilli(), text})
	if n := len(s.report.notes); n > maxNotes {
		s.report.notes = slices.Delete(s.report.notes, 0, n-maxNotes)
	}
}

// setProblem says why the files are behind; nothing where they are not. It logs
// each change.
func (s *Store) setProblem(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	s.report.mu.Lock()
	changed := s.report.problem != text
	s.report.problem = text
	s.report.mu.Unlock()
	if !changed {
		return
	}
	if err != nil {
		s.log.Error("the files are behind", "dir", s.dir, "error", text)
		return
	}
	s.log.Info("the files are written again", "dir", s.dir)
}

func (r *report) recent(now time.Time) []Note {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := now.Add(-noteLife).UnixMilli()
	return slices.DeleteFunc(slices.Clone(r.notes), func(n Note) bool { return n.At < first })
}

// setOutside remembers which token files a directory names that lie outside of
// its parent: they are neither read nor written. It logs those that are new.
func (s *Store) setOutside(found *configdir.Report) {
	var outside []string
	for _, n := range found.Warnings {
		if n.Code == configdir.CodeTokenOutside {
			outside = append(outside, n.String())
		}
	}
	s.report.mu.Lock()
	known := s.report.outside
	s.report.outside = outside
	s.report.mu.Unlock()
	for _, text := range outside {
		if !slices.Contains(known, text) {
			s.log.Warn(text, "dir", s.dir)
		}
	}
}

func (r *report) unfinished() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.restoring
}

func (r *report) describe(info *poolkeeper.Info) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem != "" {
		info.Warnings = append(info.Warnings, "the files are behind: "+r.problem)
	}
	for _, p := range r.unwritten {
		info.Warnings = append(info.Warnings, "kept in the state directory alone: "+p)
	}
	info.Warnings = append(info.Warnings, r.outside...)
	for _, n := range r.notes {
		info.Warnings = append(info.Warnings, time.UnixMilli(n.At).UTC().Format(time.RFC3339)+" "+n.Text)
	}
	if !r.written.IsZero() {
		info.Details["files written"] = r.written.UTC().Format(time.RFC3339)
	}
}
