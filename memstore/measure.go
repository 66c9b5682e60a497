package memstore

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Meter = (*Store)(nil)

// Measure counts what is kept.
func (s *Store) Measure(context.Context) poolkeeper.Measures {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.meta == nil {
		return poolkeeper.Measures{}
	}
	size := &poolkeeper.Size{Pools: int64(len(s.types))}
	for _, p := range s.pools {
		size.Providers += int64(len(p.order))
	}
	return poolkeeper.Measures{Size: size}
}
