package filestore

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Meter = (*Store)(nil)

// Measure implements poolkeeper.Meter. A batch is what was synced together.
func (s *Store) Measure(ctx context.Context) poolkeeper.Measures {
	s.life.RLock()
	defer s.life.RUnlock()
	core := s.core.Load()
	if s.closed || core == nil {
		return poolkeeper.Measures{}
	}
	m := core.Measure(ctx)
	m.Batches = s.journal.Batches()
	return m
}
