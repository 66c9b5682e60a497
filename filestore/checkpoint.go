package filestore

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
)

// loop brings the files up to date and looks for edits by others, until the
// store is closed.
func (s *Store) loop() {
	defer close(s.done)
	rest, pause := s.opts.Lag, s.opts.Poll
	for {
		poll := time.NewTimer(pause)
		select {
		case <-s.stop:
			poll.Stop()
			return
		case <-s.dirty:
			poll.Stop()
			// Changes that come meanwhile are written together.
			wait := time.NewTimer(rest)
			select {
			case <-s.stop:
				wait.Stop()
				return
			case <-wait.C:
			}
		case <-poll.C:
		}
		began := time.Now()
		s.work.Lock()
		_ = s.bring(context.Background()) // it is reported, and tried again
		s.work.Unlock()
		took := time.Since(began)
		rest, pause = max(s.opts.Lag, 2*took), max(s.opts.Poll, 10*took)
	}
}

// maxIntents is of how many checkpoints that did not come to their end a start
// looks at what they were to write.
const maxIntents = 16

// errEdited says that a file is not as the last checkpoint left it.
var errEdited = errors.New("a file was changed by another program")

// bring merges what others did to the files and makes a checkpoint. It is called
// with the work held.
func (s *Store) bring(ctx context.Context) error {
	if s.core.Load() == nil {
		return nil
	}
	err := errEdited
	for try := 0; try < 5 && errors.Is(err, errEdited); try++ {
		if err = s.mergeEdits(ctx); err == nil {
			err = s.checkpoint(ctx, try > 0)
		}
		if errors.Is(err, errEdited) {
			s.seen = nil // by its stamp it may be the same
		}
	}
	if errors.Is(err, errEdited) {
		err = poolkeeper.Errorf(poolkeeper.ErrConflict, "another program keeps changing the files").WithHint("stop it")
	}
	err = s.failure("write", err)
	s.setProblem(err)
	return err
}

// A plan is what a checkpoint does to the files.
type plan struct {
	write map[string]configdir.File
	gone  []string
	// steps are directories that token paths go through and out of again.
	steps []string
}

// checkpoint makes the files what the state is, then records it, then trims the
// journal. again says that edits were looked for a moment ago: then what is in
// the way of a new file is not an edit, but a file that is none of ours.
func (s *Store) checkpoint(ctx context.Context, again bool) error {
	s.order.Lock()
	seq := s.seq
	if seq == s.base.seq && !s.stale {
		s.order.Unlock()
		return nil
	}
	view, err := s.core.Load().View(ctx)
	s.order.Unlock()
	if err != nil {
		return err
	}
	image := view.Image() // while ops go on
	now := s.now()
	files, report, err := configdir.Files(image.Snapshot, s.dir, now)
	if err != nil {
		return err
	}
	next := &base{seq: seq, at: now.UnixMilli(), image: image, files: files}
	next.rendered = hashOf(files[poolsPath].Data)
	p, unwritten, err := s.plan(files, next.rendered, again)
	if err != nil {
		return err
	}
	for _, n := range report.Warnings {
		if n.Code == configdir.CodeUnwritten {
			unwritten = append(unwritten, n.String())
		}
	}
	p.steps = s.tree.missing(report.Steps)
	if len(p.write)+len(p.gone)+len(p.steps) > 0 {
		if s.intent == nil {
			s.intent = &intent{Files: map[string][]string{}}
		}
		if s.intent.Seq != seq && s.wrote {
			s.intent.Seqs = append(s.intent.Seqs, s.intent.Seq)
			s.intent.Seqs = s.intent.Seqs[max(0, len(s.intent.Seqs)-maxIntents):]
			s.wrote = false
		}
		s.intent.Seq = seq
		for path, f := range p.write {
			s.intent.add(path, hashOf(f.Data))
		}
		for _, path := range p.gone {
			s.intent.add(path, "")
		}
		if err := writeIntent(s.state, s.intent); err != nil {
			return err
		}
		failed, err := s.writeFiles(p)
		if err != nil {
			return err
		}
		unwritten = append(unwritten, failed...)
	}
	next.pools = s.base.pools
	slices.Sort(unwritten)
	return s.recordCheckpoint(next, unwritten)
}

// plan finds what has to be written, and makes sure that no edit is in the way.
func (s *Store) plan(files map[string]configdir.File, rendered string, again bool) (*plan, []string, error) {
	p := &plan{write: map[string]configdir.File{}}
	var unwritten []string
	for path, f := range files {
		old, there := s.base.files[path]
		if path == poolsPath {
			if rendered == s.base.rendered {
				continue
			}
		} else if there && bytes.Equal(old.Data, f.Data) {
			continue
		}
		ok, same, err := s.asLeft(path, f.Data)
		switch {
		case err != nil && !unwritable(err):
			return nil, nil, err
		case same:
			s.left(path, f)
		case !ok && again && !there:
			unwritten = append(unwritten, path+": another file is in its place")
		case !ok:
			return nil, nil, errEdited
		default:
			p.write[path] = f
		}
	}
	for path := range s.base.files {
		if _, there := files[path]; there {
			continue
		}
		ok, _, err := s.asLeft(path, nil)
		if err != nil && !unwritable(err) {
			return nil, nil, err
		}
		if !ok {
			return nil, nil, errEdited
		}
		p.gone = append(p.gone, path)
	}
	slices.Sort(p.gone)
	return p, unwritten, nil
}

// asLeft reports whether a file is as the last checkpoint left it, and whether
// it has the bytes already that it is to have.
func (s *Store) asLeft(path string, next []byte) (ok, same bool, err error) {
	data, err := s.tree.read(path)
	if err != nil {
		return true, false, err
	}
	same = data != nil && next != nil && bytes.Equal(data, next)
	if path == poolsPath {
		return hashOf(data) == s.base.pools, same, nil
	}
	old, there := s.base.files[path]
	return there == (data != nil) && bytes.Equal(data, old.Data), same, nil
}

// left notes what a file has now.
func (s *Store) left(path string, f configdir.File) {
	s.base.files[path] = f
	if path == poolsPath {
		s.base.pools = hashOf(f.Data)
		s.base.rendered = s.base.pools
	}
	s.mark(path, f.Data)
}

// writeFiles writes the files: first what others refer to, then the pools, then
// config.json, and then removes what nothing refers to any more. failed are
// those that can never be written.
func (s *Store) writeFiles(p *plan) (failed []string, err error) {
	const config = configdir.Name + "/config.json"
	var first []string
	for path := range p.write {
		if path != poolsPath && path != config {
			first = append(first, path)
		}
	}
	slices.Sort(first)
	for _, dir := range p.steps {
		if err := s.tree.makeStep(dir); unwritable(err) {
			failed = append(failed, dir+": "+err.Error())
		} else if err != nil {
			return nil, err
		}
	}
	for _, phase := range [][]string{first, {poolsPath}, {config}} {
		more, err := s.writeSome(p, phase)
		if err != nil {
			return nil, err
		}
		failed = append(failed, more...)
	}
	dirs := map[dirName]bool{}
	for _, path := range p.gone {
		if ok, _, err := s.asLeft(path, nil); err == nil && !ok {
			return nil, errEdited
		}
		dir, err := s.tree.remove(path)
		if err != nil && !unwritable(err) {
			return nil, err
		}
		if err == nil {
			dirs[dir] = true
		}
		delete(s.base.files, path)
		delete(s.seen, path)
	}
	return failed, syncAll(dirs)
}

// writeSome writes files, several at a time, since most of the time goes by
// waiting for the disk, and makes their names durable.
func (s *Store) writeSome(p *plan, paths []string) (failed []string, err error) {
	var mu sync.Mutex
	dirs := map[dirName]bool{}
	var done []string
	one := func(path string) {
		f, ok := p.write[path]
		if !ok {
			return
		}
		mu.Lock()
		stop := err != nil
		asLeft, _, e := s.asLeft(path, nil)
		mu.Unlock()
		if stop {
			return
		}
		var dir dirName
		if e == nil && !asLeft {
			e = errEdited
		}
		if e == nil {
			dir, e = s.tree.replace(path, f.Data)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case e == nil:
			dirs[dir] = true
			done = append(done, path)
		case unwritable(e):
			failed = append(failed, path+": "+e.Error())
			delete(s.base.files, path)
		default:
			err = e
		}
	}
	work := make(chan string)
	var wg sync.WaitGroup
	for range min(8, len(paths)) {
		wg.Go(func() {
			for path := range work {
				one(path)
			}
		})
	}
	for _, path := range paths {
		work <- path
	}
	close(work)
	wg.Wait()
	// Also where one has failed: the others are there.
	s.wrote = s.wrote || len(done) > 0
	for _, path := range done {
		s.left(path, p.write[path])
	}
	if e := syncAll(dirs); err == nil {
		err = e
	}
	return failed, err
}

func syncAll(dirs map[dirName]bool) error {
	for d := range dirs {
		if err := d.fs.SyncDir(d.name); err != nil {
			return err
		}
	}
	return nil
}

// recordCheckpoint makes a state the last checkpoint, and trims the journal. The
// files are durable by then.
func (s *Store) recordCheckpoint(next *base, unwritten []string) error {
	fresh, sections, err := encodeImage(next.image, s.base)
	if err != nil {
		return err
	}
	next.sections = sections
	m := &manifest{
		Version: formatVersion, Dir: s.place(), Seq: next.seq, At: next.at, Pools: next.pools, Rendered: next.rendered,
		Sections: sections.list(), Notes: s.report.recent(s.now()),
	}
	// What could not be written is not there.
	for path := range next.files {
		if _, there := s.base.files[path]; !there {
			m.Unwritten = append(m.Unwritten, path)
		}
	}
	slices.Sort(m.Unwritten)
	if err := writeState(s.state, m, fresh); err != nil {
		return err
	}
	next.files = maps.Clone(s.base.files)
	s.base, s.intent, s.wrote, s.stale = next, nil, false, false
	s.report.mu.Lock()
	s.report.unwritten, s.report.written, s.report.notes = unwritten, s.now(), m.Notes
	s.report.mu.Unlock()
	tidy(s.state, m.Sections)
	return s.journal.Trim(next.seq)
}

// Flush makes the files what the state is now, and merges first what others did
// to them. It need not be called: see [Options.Lag].
func (s *Store) Flush(ctx context.Context) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.work.Lock()
	defer s.work.Unlock()
	return s.bring(ctx)
}
