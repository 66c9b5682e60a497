package redisstore

import "context"

// Writable reports whether the server takes writes: it may be read and refuse them,
// as it is out of memory, a replica by now, cannot write its disk, or misses its
// replicas. For that it is given one, which is gone after a second. Of a Cluster it is
// the node of the store's meta that is asked. Errors are those of Apply.
func (s *Store) Writable(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return readError(s.client.Do(ctx, s.client.B().Set().Key(s.probe()).Value("1").PxMilliseconds(1000).Build()).Error())
}
