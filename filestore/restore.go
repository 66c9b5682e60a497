package filestore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// Restore makes the directory of a snapshot, see [poolkeeper.Backend]: the files
// first, then the checkpoint, with which the store is initialised. One that was
// cut off is marked by its intent, and what it left behind goes when it is run
// again.
func (s *Store) Restore(ctx context.Context, snap *poolkeeper.Snapshot) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return poolkeeper.Annotate(s.usable(context.Background()), "restore", "store")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.work.Lock()
	defer s.work.Unlock()
	if s.core.Load() != nil {
		return s.exists("the store is initialised already")
	}
	core := memstore.New(&memstore.Options{Now: s.now})
	if err := core.Restore(ctx, snap); err != nil {
		return err
	}
	if s.tree == nil {
		if err := s.make(ctx); err != nil {
			return err
		}
		if s.core.Load() != nil {
			return s.exists("somebody has put files into the directory")
		}
	}
	return poolkeeper.Annotate(s.failure("write", s.restore(ctx, core)), "restore", "store")
}

func (s *Store) exists(detail string) error {
	return poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrExists, "%s", detail).
		WithHint("restore into an empty directory, or apply ops to this store"), "restore", "store")
}

// make makes the directory, durably, and takes it.
func (s *Store) make(ctx context.Context) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return s.failure("make", err)
	}
	parent, err := s.opts.OpenFS(filepath.Dir(s.dir))
	if err != nil {
		return s.failure("make", err)
	}
	defer parent.Close()
	if err := parent.SyncDir("."); err != nil {
		return s.failure("make", err)
	}
	if err = s.attach(ctx); err != nil {
		s.release()
		s.journal, s.state, s.tree, s.lock = nil, nil, nil, nil
	}
	return err
}

func (s *Store) restore(ctx context.Context, core *memstore.Store) error {
	image, err := core.Image(ctx)
	if err != nil {
		return err
	}
	now := s.now()
	files, report, err := configdir.Files(image.Snapshot, s.dir, now)
	if err != nil {
		return err
	}
	s.base = &base{files: map[string]configdir.File{}}
	in := &intent{Seq: s.journal.Last(), Restore: true, Files: map[string][]string{}}
	p := &plan{write: files, steps: report.Steps}
	if s.unfinished != nil {
		in.Files = s.unfinished.Files
	}
	// Whatever is there is in the way, unless an earlier run has left it.
	for path := range files {
		data, err := s.tree.read(path)
		if err != nil && !unwritable(err) {
			return err
		}
		if data == nil {
			continue
		}
		if h := hashOf(data); !slices.Contains(in.Files[path], h) && h != hashOf(files[path].Data) {
			return s.exists("another file is at " + path)
		}
		s.base.files[path] = configdir.File{Data: data}
		if path == poolsPath {
			s.base.pools = hashOf(data)
		}
	}
	for path, hashes := range in.Files {
		if _, again := files[path]; again {
			continue
		}
		data, err := s.tree.read(path)
		if err == nil && data != nil && slices.Contains(hashes, hashOf(data)) {
			s.base.files[path] = configdir.File{Data: data}
			p.gone = append(p.gone, path)
		}
	}
	for path, f := range files {
		in.add(path, hashOf(f.Data))
	}
	if err := writeIntent(s.state, in); err != nil {
		return err
	}
	s.unfinished = in
	s.report.mu.Lock()
	s.report.restoring = true
	s.report.mu.Unlock()
	unwritten, err := s.writeFiles(p)
	if errors.Is(err, errEdited) {
		return s.exists("somebody puts files into the directory")
	}
	if err != nil {
		return err
	}
	for _, n := range report.Warnings {
		if n.Code == configdir.CodeUnwritten {
			unwritten = append(unwritten, n.String())
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	next := &base{seq: s.journal.Last(), at: now.UnixMilli(), image: image, files: files, pools: s.base.pools, rendered: hashOf(files[poolsPath].Data)}
	if err := s.recordCheckpoint(next, unwritten); err != nil {
		return err
	}
	s.order.Lock()
	s.seq = next.seq
	s.order.Unlock()
	s.report.mu.Lock()
	s.report.restoring = false
	s.report.mu.Unlock()
	s.unfinished = nil
	s.core.Store(core)
	return nil
}
