package redisstore

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// A store that is put in the place of one that was lost says for each key up to which
// revision of that one it has it: so an instance that was told more than the one that
// put it back finds out what is missing.

// recoveredFor is how long that is kept. Instances look at it when they find the new
// store, and what they have beyond it is of the last minute.
const recoveredFor = 24 * time.Hour

// noteRevisions writes the revisions that a snapshot has its keys at.
func (r *restore) noteRevisions(snap *poolkeeper.Snapshot) error {
	if snap.Meta[poolkeeper.MetaRecovered] == "" {
		return nil
	}
	at := map[string]uint64{}
	for typ, p := range snap.Pools {
		if p != nil {
			at[r.laneKey(poolkeeper.PoolKey(typ))] = p.Revision.Number
		}
	}
	for key, d := range snap.Values {
		// Of files and token paths, which are ordered together, it would be that of
		// another one.
		if key.Kind != poolkeeper.KindFile && key.Kind != poolkeeper.KindTokenRefs {
			at[r.laneKey(key)] = d.Revision.Number
		}
	}
	names := make([]string, 0, len(at))
	for name, n := range at {
		if n > 0 {
			names = append(names, name)
		}
	}
	for part := range slices.Chunk(names, chunk) {
		h, size := r.client.B().Hset().Key(r.recovered()).FieldValue(), 0
		for _, name := range part {
			h = h.FieldValue(name, strconv.FormatUint(at[name], 10))
			size += len(name) + 8
		}
		if err := r.add(size, h.Build()); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		return nil
	}
	return r.add(0, r.client.B().Pexpire().Key(r.recovered()).Milliseconds(recoveredFor.Milliseconds()).Build())
}

// Missing implements poolkeeper.Mender.
func (s *Store) Missing(ctx context.Context, in poolkeeper.Backend) (map[poolkeeper.Key][]poolkeeper.Op, error) {
	next, ok := in.(*Store)
	if !ok {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "it is no store in Redis")
	}
	lanes := map[string]*lane{}
	var names []string
	s.lanes.Range(func(name, v any) bool {
		l := v.(*lane)
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.tail.stretches) > 0 {
			lanes[name.(string)] = l
			names = append(names, name.(string))
		}
		return true
	})
	missing := map[poolkeeper.Key][]poolkeeper.Op{}
	for part := range slices.Chunk(names, chunk) {
		at, err := next.client.Do(ctx, next.client.B().Hmget().Key(next.recovered()).Field(part...).Build()).ToArray()
		if err != nil {
			return nil, readError(err)
		}
		for i, name := range part {
			number, err := numberOf(at[i])
			if err != nil {
				return nil, err
			}
			for _, key := range lanes[name].kept(s, name) {
				if ops := s.Unsettled(key, number); len(ops) > 0 {
					missing[key] = ops
				}
			}
		}
	}
	return missing, nil
}

func numberOf(m rueidis.RedisMessage) (uint64, error) {
	text, err := m.ToString()
	if isNil(err) {
		return 0, nil // it was not put back at all
	}
	if err != nil {
		return 0, readError(err)
	}
	return strconv.ParseUint(text, 10, 64)
}

// kept are the keys of which the lane has something in its tail.
func (l *lane) kept(s *Store, name string) []poolkeeper.Key {
	var keys []poolkeeper.Key
	if key, ok := s.parse(name); ok && key.Kind == poolkeeper.KindPool {
		keys = append(keys, key)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.tail.stretches {
		for _, k := range c.ops {
			if k.op != nil && !slices.Contains(keys, k.op.Key) {
				keys = append(keys, k.op.Key)
			}
		}
	}
	return keys
}
