package memstore

import (
	"hash/maphash"
	"maps"
)

// cowShards is into how many maps one is divided. Of 100,000 entries a first
// write after an image copies 400.
const cowShards = 256

// A cowMap is a map of which an image is taken without copying it: what is
// shared with one is copied when it is written to, in parts.
type cowMap[K comparable, V any] struct {
	seed   maphash.Seed
	shards [cowShards]map[K]V
	shared [cowShards]bool
	count  int
}

func newCowMap[K comparable, V any]() *cowMap[K, V] {
	return &cowMap[K, V]{seed: maphash.MakeSeed()}
}

func (m *cowMap[K, V]) shard(key K) int {
	return int(maphash.Comparable(m.seed, key) % cowShards)
}

func (m *cowMap[K, V]) lookup(key K) (v V, ok bool) {
	if m != nil {
		v, ok = m.shards[m.shard(key)][key]
	}
	return v, ok
}

func (m *cowMap[K, V]) get(key K) V {
	v, _ := m.lookup(key)
	return v
}

func (m *cowMap[K, V]) len() int {
	if m == nil {
		return 0
	}
	return m.count
}

// own makes a shard one that may be written to.
func (m *cowMap[K, V]) own(i int) map[K]V {
	switch {
	case m.shards[i] == nil:
		m.shards[i] = map[K]V{}
	case m.shared[i]:
		m.shards[i] = maps.Clone(m.shards[i])
	}
	m.shared[i] = false
	return m.shards[i]
}

func (m *cowMap[K, V]) set(key K, v V) {
	i := m.shard(key)
	s := m.own(i)
	before := len(s)
	s[key] = v
	m.count += len(s) - before
}

func (m *cowMap[K, V]) delete(key K) {
	i := m.shard(key)
	if _, ok := m.shards[i][key]; ok {
		delete(m.own(i), key)
		m.count--
	}
}

// deleteFunc deletes what a function wants gone.
func (m *cowMap[K, V]) deleteFunc(gone func(K, V) bool) {
	for i := range m.shards {
		for k, v := range m.shards[i] {
			if gone(k, v) {
				delete(m.own(i), k)
				m.count--
			}
		}
	}
}

// all yields everything. What it yields must not be written to meanwhile.
func (m *cowMap[K, V]) all(yield func(K, V) bool) {
	if m == nil {
		return
	}
	for i := range m.shards {
		for k, v := range m.shards[i] {
			if !yield(k, v) {
				return
			}
		}
	}
}

// view is the map as it is now, for reading, whatever is written to it later.
func (m *cowMap[K, V]) view() *cowMap[K, V] {
	for i := range m.shared {
		m.shared[i] = true
	}
	v := *m
	return &v
}

// collect puts everything into an ordinary map.
func (m *cowMap[K, V]) collect(into map[K]V) map[K]V {
	for k, v := range m.all {
		into[k] = v
	}
	return into
}

func cowOf[K comparable, V any](from map[K]V) *cowMap[K, V] {
	m := newCowMap[K, V]()
	for k, v := range from {
		m.set(k, v)
	}
	return m
}
