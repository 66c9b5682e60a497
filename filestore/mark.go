package filestore

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.ImportMarker = (*Store)(nil)

// MarkImport implements poolkeeper.ImportMarker. The mark is a record of the
// journal, then in the checkpoint: it outlives the process.
func (s *Store) MarkImport(ctx context.Context, run string, unfinished bool) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	core := s.core.Load()
	var failed error
	_, err := s.journal.Append(ctx, func(seq uint64) {
		s.order.Lock()
		defer s.order.Unlock()
		failed = core.MarkImport(context.WithoutCancel(ctx), run, unfinished)
		s.changed(seq)
	}, encodeMark(importMark{run, unfinished}))
	if err == nil {
		err = failed
	}
	return poolkeeper.Annotate(err, "mark the import into", s.dir)
}
