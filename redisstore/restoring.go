package redisstore

import "context"

// Restoring reports whether an instance restores the store, or an import does: others
// are kept out until that has ended, or shows no life any more.
func (s *Store) Restoring(ctx context.Context) (bool, error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.leave()
	n, err := s.client.Do(ctx, s.client.B().Exists().Key(s.lock(s.meta())).Build()).AsInt64()
	return n > 0, readError(err)
}
