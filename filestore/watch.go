package filestore

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Watcher = (*Store)(nil)

// Watch implements poolkeeper.Watcher. What others write into the files is told
// when it is merged.
func (s *Store) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	s.life.RLock()
	err, core := s.usable(ctx), s.core.Load()
	s.life.RUnlock()
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.stop:
			cancel()
		case <-inner.Done():
		}
	}()
	err = core.Watch(inner, fn)
	if ctx.Err() == nil && inner.Err() != nil {
		return poolkeeper.Errorf(poolkeeper.ErrClosed, "store is closed")
	}
	return err
}
