package filestore

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/memstore"
)

const poolsPath = configdir.Name + "/provider_pools.json"

// load makes the state of what is there: the last checkpoint, the journal on top
// of it, and what others have done to the files meanwhile. It is called with the
// work held.
func (s *Store) load(ctx context.Context) error {
	m, image, err := readState(s.state)
	if err != nil {
		return s.failure("read", err)
	}
	in, err := readIntent(s.state)
	if err != nil {
		return s.failure("read", err)
	}
	if m == nil {
		return s.begin(ctx, in)
	}
	if at := s.place(); m.Dir != at {
		return poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrForbidden, "the state directory %s belongs to the directory %s", s.opts.StateDir, m.Dir).
			WithHint("give each directory a state directory of its own"), "open", s.dir)
	}
	if first := s.journal.First(); first > m.Seq+1 {
		return damaged("journal", fmt.Sprintf("it begins with record %d, and the checkpoint is that of record %d", first, m.Seq))
	}
	s.report.mu.Lock()
	s.report.notes = m.Notes
	s.report.mu.Unlock()
	replayed, err := s.replay(m, image, in)
	if err != nil {
		return s.failure("read", err)
	}
	s.start = replayed
	if err := s.mergeAtOpen(ctx, replayed); err != nil {
		// Another program has left something that cannot be read. Ours is whole.
		s.setProblem(err)
		return ctx.Err()
	}
	return s.bring(ctx)
}

// Begun reports whether a state directory has a checkpoint, or a Restore that was
// begun.
func Begun(stateDir string) bool {
	for _, name := range []string{manifestFile, intentFile} {
		if _, err := os.Stat(filepath.Join(stateDir, name)); err == nil {
			return true
		}
	}
	return false
}

// place is how a checkpoint names the directory: from the state directory where
// that lies beside it, so that both can be moved together.
func (s *Store) place() string {
	if rel, err := filepath.Rel(s.tree.top, s.tree.real); err == nil {
		if state, err := filepath.EvalSymlinks(s.opts.StateDir); err == nil {
			if in, err := filepath.Rel(s.tree.top, state); err == nil && filepath.IsLocal(in) {
				return rel
			}
		}
	}
	return s.tree.real
}

// A replayed is what a start has found out about the files.
type replayed struct {
	// alts are the states at checkpoints that were cut off: files may be those of
	// them.
	alts []*memstore.Image
	// known are the hashes that files may have without being edits by others.
	known map[string][]string
}

// replay puts the journal on top of the last checkpoint.
func (s *Store) replay(m *manifest, image *memstore.Image, in *intent) (*replayed, error) {
	core, err := memstore.FromImage(image, &memstore.Options{Now: s.now})
	if err != nil {
		return nil, damaged(manifestFile, err.Error())
	}
	s.base = &base{seq: m.Seq, at: m.At, image: image, pools: m.Pools, rendered: m.Rendered}
	if s.base.files, _, err = configdir.Files(image.Snapshot, s.dir, time.UnixMilli(m.At)); err != nil {
		return nil, err
	}
	for _, p := range m.Unwritten {
		delete(s.base.files, p)
	}
	r := &replayed{known: map[string][]string{}}
	know := func(files map[string]string) {
		for p, h := range files {
			r.known[p] = append(r.known[p], h)
		}
	}
	if in != nil && in.Seq > m.Seq {
		s.intent, s.wrote = in, true
		for p, hashes := range in.Files {
			r.known[p] = slices.Clone(hashes)
		}
	}
	err = s.journal.Read(m.Seq+1, func(seq uint64, data []byte) error {
		rec, err := decodeRecord(data)
		if err != nil {
			return poolkeeper.Annotate(err, "read", fmt.Sprintf("record %d of the journal", seq))
		}
		know(rec.seen)
		switch d, mark := rec.decision, rec.mark; {
		case d != nil:
			// What was refused then is refused again.
			core.Commit(&d.op, d.at, d.writer, nil)
		case mark != nil:
			if err := core.MarkImport(context.Background(), mark.run, mark.unfinished); err != nil {
				return err
			}
		}
		if in != nil && (in.Seq == seq || slices.Contains(in.Seqs, seq)) {
			alt, err := core.Image(context.Background())
			if err != nil {
				return err
			}
			r.alts = append(r.alts, alt)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.core.Store(core)
	// Where the journal was taken away, its numbers begin anew.
	if s.seq = s.journal.Last(); s.seq < m.Seq {
		s.log.Warn("the journal has fewer records than the checkpoint knows of", "dir", s.dir, "journal", s.seq, "checkpoint", m.Seq)
		s.stale = true
	}
	return r, nil
}

// begin opens a directory for the first time.
func (s *Store) begin(ctx context.Context, in *intent) error {
	if s.journal.Last() >= s.journal.First() {
		return damaged(manifestFile, "it is missing, and the journal has records that belong to it")
	}
	if in != nil && in.Restore {
		s.unfinished = in
		s.report.mu.Lock()
		s.report.restoring = true
		s.report.mu.Unlock()
		return nil
	}
	snap, found, err := configdir.ReadDir(ctx, s.dir, &configdir.ReadOptions{Now: s.now})
	if err != nil {
		return err
	}
	s.setOutside(found)
	if len(snap.Types) == 0 && len(snap.Values) == 0 {
		raw, err := s.tree.read(poolsPath)
		if err != nil || raw == nil {
			return s.failure("read", err)
		}
	}
	core := memstore.New(&memstore.Options{Now: s.now})
	if err := core.Restore(ctx, snap); err != nil {
		return err
	}
	image, err := core.Image(ctx)
	if err != nil {
		return err
	}
	now := s.now()
	b := &base{seq: s.journal.Last(), at: now.UnixMilli(), image: image}
	if b.files, _, err = configdir.Files(image.Snapshot, s.dir, now); err != nil {
		return err
	}
	raw, err := s.tree.read(poolsPath)
	if err != nil {
		return s.failure("read", err)
	}
	b.pools, b.rendered = hashOf(raw), hashOf(b.files[poolsPath].Data)
	s.base = &base{files: maps.Clone(b.files), pools: b.pools, rendered: b.rendered}
	if err := s.recordCheckpoint(b, nil); err != nil {
		return s.failure("write", err)
	}
	s.seq = b.seq
	s.core.Store(core)
	return nil
}
