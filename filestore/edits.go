package filestore

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
)

// A stamp is what tells a file that was changed without reading it.
type stamp struct {
	size  int64
	mtime time.Time
	mode  fs.FileMode
	file  fs.FileInfo // which of two files with one name it is
}

func (a stamp) equal(b stamp) bool {
	return a.size == b.size && a.mtime.Equal(b.mtime) && a.mode == b.mode && os.SameFile(a.file, b.file)
}

// scan looks at all files of the directory, and at those beside it that are the
// store's.
func (s *Store) scan() (map[string]stamp, error) {
	found := map[string]stamp{}
	err := filepath.WalkDir(s.tree.real, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // it went while we were looking
			}
			return err
		}
		rel, err := filepath.Rel(s.tree.real, full)
		if err != nil {
			return err
		}
		p := configdir.Name + "/" + filepath.ToSlash(rel)
		switch {
		case d.IsDir():
			if p == configdir.Name+"/temp" {
				return fs.SkipDir
			}
			return nil
		case strings.HasSuffix(p, ".tmp"), strings.HasSuffix(p, ".lock"):
			return nil
		}
		s.stampOf(found, p)
		return nil
	})
	for p := range s.base.files {
		if !strings.HasPrefix(p, configdir.Name+"/") {
			s.stampOf(found, p)
		}
	}
	return found, err
}

func (s *Store) stampOf(found map[string]stamp, p string) {
	if info, err := os.Stat(s.tree.full(p)); err == nil {
		found[p] = stamp{info.Size(), info.ModTime(), info.Mode(), info}
	}
}

// mark takes the stamp of a file that was just written, if it still has those
// bytes.
func (s *Store) mark(p string, data []byte) {
	if s.seen == nil {
		return
	}
	s.stampOf(s.seen, p)
	if now, err := s.tree.read(p); err != nil || !bytes.Equal(now, data) {
		delete(s.seen, p)
	}
}

// theirs is the directory as others have left it.
type theirs struct {
	snap  *poolkeeper.Snapshot
	files map[string]configdir.File // provider_pools.json as its bytes are
	seen  map[string]stamp
}

// look reads the directory.
func (s *Store) look(ctx context.Context) (*theirs, error) {
	before, err := s.scan()
	if err != nil {
		return nil, err
	}
	now := s.now()
	snap, found, err := configdir.ReadDir(ctx, s.dir, &configdir.ReadOptions{Now: func() time.Time { return now }})
	if err != nil {
		return nil, err
	}
	s.setOutside(found)
	// A file holds no ids but uuids: the others are ours.
	if s.base.image != nil {
		err := configdir.AdoptIDs(snap, s.base.image.Snapshot, nil, false, &configdir.CompareOptions{Dir: s.dir, Now: func() time.Time { return now }})
		if err != nil {
			return nil, err
		}
	}
	t := &theirs{snap: snap, seen: before}
	if t.files, _, err = configdir.Files(snap, s.dir, now); err != nil {
		return nil, err
	}
	raw, err := s.tree.read(poolsPath)
	if err != nil {
		return nil, err
	}
	if t.files[poolsPath] = (configdir.File{Key: poolkeeper.PoolsKey, Data: raw}); raw == nil {
		delete(t.files, poolsPath)
	}
	// What nothing refers to outside of the directory is not read with it.
	for p, f := range s.base.files {
		if _, there := t.files[p]; there {
			continue
		}
		data, err := s.tree.read(p)
		if err != nil && !unwritable(err) {
			return nil, err
		}
		if data != nil {
			t.files[p] = configdir.File{Key: f.Key, Data: data}
		}
	}
	after, err := s.scan()
	if err != nil {
		return nil, err
	}
	if !maps.EqualFunc(before, after, stamp.equal) {
		return nil, poolkeeper.Errorf(poolkeeper.ErrConflict, "the directory changed while it was read")
	}
	return t, nil
}

// mergeEdits merges what others have changed since the directory was last
// looked at.
func (s *Store) mergeEdits(ctx context.Context) error {
	if s.start != nil { // what was there at the start could not be read then
		return s.mergeAtOpen(ctx, s.start)
	}
	now, err := s.scan()
	if err != nil {
		return err
	}
	if s.seen != nil && maps.EqualFunc(now, s.seen, stamp.equal) {
		return nil
	}
	t, err := s.look(ctx)
	if err != nil {
		return err
	}
	return s.merge(ctx, t, nil)
}

// mergeAtOpen merges what others have changed since the last checkpoint. What the
// store itself has written or merged after that is none of theirs.
func (s *Store) mergeAtOpen(ctx context.Context, r *replayed) error {
	t, err := s.look(ctx)
	if err != nil {
		return err
	}
	for p, hashes := range r.known {
		f, there := t.files[p]
		for _, h := range hashes {
			if h != hashOf(f.Data) {
				continue
			}
			if s.stale = true; !there {
				delete(s.base.files, p)
				continue
			}
			s.base.files[p] = f
			if p == poolsPath {
				s.base.pools, s.base.rendered = h, ""
			}
		}
	}
	err = s.merge(ctx, t, r)
	if err == nil {
		s.start = nil
	}
	return err
}

// edited lists the files that are not as they were left.
func (s *Store) edited(t *theirs) map[string]bool {
	paths := map[string]bool{}
	for p, f := range t.files {
		old, there := s.base.files[p]
		if p == poolsPath {
			if hashOf(f.Data) != s.base.pools {
				paths[p] = true
			}
		} else if !there || !bytes.Equal(old.Data, f.Data) {
			paths[p] = true
		}
	}
	for p := range s.base.files {
		if _, there := t.files[p]; !there {
			paths[p] = true
		}
	}
	if s.base.pools == "" && t.files[poolsPath].Data == nil {
		delete(paths, poolsPath) // it never was there
	}
	return paths
}

// merge puts the edits of others into the state. r is that of a start, at which
// their runtime fields count; nil while the store is open.
func (s *Store) merge(ctx context.Context, t *theirs, r *replayed) error {
	edited := s.edited(t)
	if len(edited) == 0 {
		s.seen = t.seen
		return nil
	}
	defer s.gates.all()()
	core := s.core.Load()
	ours, err := core.Image(ctx)
	if err != nil {
		return err
	}
	m := &merger{s: s, base: s.base, theirs: t, ours: ours, edited: edited, start: r}
	if err := m.run(); err != nil {
		return err
	}
	at := s.now().UnixMilli()
	var records [][]byte
	for i := range m.ops {
		if err := m.ops[i].Validate(); err != nil {
			return err
		}
		data, err := encodeDecision(&m.ops[i], at, s.writer)
		if err != nil {
			return err
		}
		records = append(records, data)
	}
	hashes := map[string]string{}
	for p := range edited {
		hashes[p] = hashOf(t.files[p].Data)
	}
	records = append(records, encodeSeen(hashes))
	var failed error
	if _, err = s.journal.Append(ctx, func(first uint64) {
		s.order.Lock()
		for i := range m.ops {
			if res := core.Commit(&m.ops[i], at, s.writer, nil); res.Err != nil {
				failed = res.Err
			}
		}
		s.changed(first + uint64(len(records)) - 1)
		s.order.Unlock()
	}, records...); err != nil {
		return err
	}
	if failed != nil { // it was computed from what is there
		s.note("an edit could not be merged: " + failed.Error())
	}
	for _, text := range m.notes {
		s.note(text)
	}
	for p := range edited {
		f, there := t.files[p]
		if !there {
			delete(s.base.files, p)
		} else {
			s.base.files[p] = f
		}
		if p == poolsPath {
			s.base.pools = hashOf(f.Data)
			if m.rewrite {
				s.base.rendered = ""
			}
		}
	}
	s.seen, s.stale = t.seen, true
	return nil
}
