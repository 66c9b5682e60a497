package redisstore

import (
	"context"
	"net"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// In a cluster a watch hears every primary. What is published to all nodes comes
// once from each; the copy of the node that published it cannot be lost between
// nodes. What is published in a shard comes from that alone.

// primaries are the nodes that own slots, by their addresses.
func (s *Store) primaries(ctx context.Context) (map[string]rueidis.Client, error) {
	all := map[string]rueidis.Client{}
	for address, node := range s.client.Nodes() {
		role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
		if err != nil {
			if !s.hasSlots(ctx, address) { // a replica that is down, or a node that was replaced
				continue
			}
			return nil, readError(err)
		}
		if len(role) > 0 && textOr(role[0], "") == "master" {
			all[address] = node
		}
	}
	if len(all) == 0 {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "no primary of the cluster is known")
	}
	return all, nil
}

// ask sends a command that any node answers: the client would send it to one of them,
// which may be down.
func (s *Store) ask(ctx context.Context, command func(rueidis.Builder) rueidis.Completed) (res rueidis.RedisResult) {
	if !s.cluster {
		return s.client.Do(ctx, command(s.client.B()))
	}
	for _, node := range s.client.Nodes() {
		if res = node.Do(ctx, command(node.B())); res.NonRedisError() == nil {
			break
		}
	}
	return res
}

// hasSlots reports whether a node has slots, as the cluster says; true where it does not
// say.
func (s *Store) hasSlots(ctx context.Context, address string) bool {
	slots, err := s.ask(ctx, func(b rueidis.Builder) rueidis.Completed { return b.ClusterSlots().Build() }).ToArray()
	if err != nil {
		return true
	}
	for _, m := range slots {
		// first, last, {host, port, …} of the primary, and those of its replicas
		part, err := m.ToArray()
		if err != nil || len(part) < 3 {
			return true
		}
		node, err := part[2].ToArray()
		if err != nil || len(node) < 2 {
			return true
		}
		port, err := node[1].AsInt64()
		host := textOr(node[0], "")
		if _, p, cut := net.SplitHostPort(address); err != nil || cut != nil || host == "" && p == strconv.FormatInt(port, 10) {
			return true
		}
		if net.JoinHostPort(host, strconv.FormatInt(port, 10)) == address {
			return true
		}
	}
	return false
}

// sameNodes makes sure that the primaries are those that are heard. A node that
// does not answer here is judged by its subscription.
func (w *watch) sameNodes(ctx context.Context) error {
	now, err := w.primaries(ctx)
	if err != nil {
		return nil
	}
	heard := map[string]bool{}
	for _, address := range w.addresses {
		heard[address] = true
	}
	for address := range now {
		if !heard[address] {
			return errElsewhere
		}
		delete(heard, address)
	}
	if len(heard) > 0 {
		return errElsewhere
	}
	return nil
}

// follow subscribes to the shard channels of pools that it did not know, and
// returns their types.
func (w *watch) follow(ctx context.Context) (fresh []string, err error) {
	types, err := w.readTypes(ctx)
	if err != nil {
		return nil, err
	}
	for _, typ := range types {
		if key := w.pool(typ); !w.pools[key] {
			if err := w.shard(ctx, key); err != nil {
				return nil, err
			}
			w.pools[key] = true
			fresh = append(fresh, typ)
		}
	}
	return fresh, nil
}

// shard subscribes to the channel of a pool, on the node that has it.
func (w *watch) shard(ctx context.Context, key string) error {
	limit, cancel := context.WithTimeout(ctx, w.opts.CommandTimeout)
	defer cancel()
	for i, sub := range w.subs {
		err := sub.conn.Do(limit, sub.conn.B().Ssubscribe().Channel(w.shardChannel(w.epoch, key)).Build()).Error()
		if re, ok := rueidis.IsRedisErr(err); ok {
			if _, moved := re.IsMoved(); moved && i+1 < len(w.subs) {
				continue
			}
		}
		return readError(err)
	}
	return errEnded
}

// latest remembers how far the changes of keys were told. It forgets keys that
// have not changed for long: a change of theirs may then be told again.
type latest struct{ young, old map[string]uint64 }

const latestKeys = 1 << 14

func newLatest() *latest { return &latest{young: map[string]uint64{}} }

// later reports whether a revision is later than what was told, and notes it.
func (l *latest) later(key string, number uint64) bool {
	last, ok := l.young[key]
	if !ok {
		last = l.old[key]
	}
	if number <= last {
		return false
	}
	if !ok && len(l.young) == latestKeys {
		l.young, l.old = make(map[string]uint64, latestKeys), l.young
	}
	l.young[key] = number
	return true
}
