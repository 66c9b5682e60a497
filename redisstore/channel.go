package redisstore

import (
	"context"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// channel is where changes of a key are published, and by what command. The
// epoch in its name keeps stores apart that follow each other under one prefix,
// and databases, which channels ignore.
//
// In a cluster that can, the changes of a pool stay in its shard. Those of all
// else are few, and go to every node: nobody could subscribe to a channel for
// each token.
func (s *Store) channel(epoch, key string) (command, name string) {
	if s.sharded && strings.HasPrefix(key, s.prefix+namePools) {
		return "SPUBLISH", s.shardChannel(epoch, key)
	}
	return "PUBLISH", s.commonChannel(epoch)
}

func (s *Store) commonChannel(epoch string) string { return s.prefix + "changes:" + epoch }

func (s *Store) shardChannel(epoch, key string) string {
	return s.prefix + "changes:" + epoch + ":{" + key + "}"
}

// publishes reports whether the Redis user may publish, where that is known.
func (s *Store) publishes(ctx context.Context) bool {
	to := s.prefix + "changes:"
	err := s.client.Do(ctx, s.client.B().Publish().Channel(to).Message("").Build()).Error()
	if err == nil && s.sharded {
		err = s.client.Do(ctx, s.client.B().Spublish().Channel(to).Message("").Build()).Error()
	}
	f := classify(err)
	return f == nil || poolkeeper.ClassOf(f.err).Err != poolkeeper.ErrForbidden
}
