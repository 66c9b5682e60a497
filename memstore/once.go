package memstore

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
)

// Bounds of what is remembered of idempotency keys.
const (
	// MaxCounted is how many keys are remembered, which take about 100 bytes
	// each. Beyond it the oldest are forgotten before their time.
	MaxCounted = 4 << 20
	// CountedChunk is how many of them are kept together.
	CountedChunk = 16 << 10
)

// Counted is what was counted under idempotency keys, in the order in which that
// was done.
type Counted struct {
	// From is the number of the first one that is remembered. It lies in the
	// first chunk.
	From uint64
	// Chunks have CountedChunk records each, but for the last. A record that is
	// in a chunk does not change.
	Chunks []CountedRecords
}

// CountedRecords are what was counted one after the other.
type CountedRecords struct {
	First uint64 // number of the first record
	List  []CountedRecord
	// Reached are the ids that were answered where they were not those of the
	// ops: the number of the record and the id, in their order.
	Reached []CountedReached
}

// A CountedRecord is one increment that was counted.
type CountedRecord struct {
	Key   [16]byte // hash of type and key
	Op    [8]byte  // hash of the id and the number that the op had
	Count int64    // that it was answered
	Until int64    // the time by which the key has ended
}

// A CountedReached is an id that an increment has reached by an alias.
type CountedReached struct {
	At uint64 `json:"at"`
	ID string `json:"id"`
}

// end is the number after the last record.
func (c *Counted) end() uint64 {
	if len(c.Chunks) == 0 {
		return c.From
	}
	last := &c.Chunks[len(c.Chunks)-1]
	return last.First + uint64(len(last.List))
}

// at returns a record that is remembered, and its chunk.
func (c *Counted) at(n uint64) (*CountedRecord, *CountedRecords) {
	i := sort.Search(len(c.Chunks), func(i int) bool { return c.Chunks[i].First > n }) - 1
	chunk := &c.Chunks[i]
	return &chunk.List[n-chunk.First], chunk
}

// A onceTable finds what was counted. What it has appended does not change, so
// that an image shares it.
type onceTable struct {
	Counted
	limit int
	early bool // some were forgotten before their time
	// where :: hash of type and key → number of the record
	where map[[16]byte]uint64
}

func (t *onceTable) init() {
	t.limit = MaxCounted
	t.where = map[[16]byte]uint64{}
}

// hashOnce identifies an idempotency key, which is one within its pool, and the
// op that it stands for.
func hashOnce(op *poolkeeper.Op) (key [16]byte, body [8]byte) {
	h := sha256.New()
	var sum [sha256.Size]byte
	write := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	write(op.Key.Type)
	write(op.IdempotencyKey)
	copy(key[:], h.Sum(sum[:0]))
	h.Reset()
	write(op.ID)
	binary.Write(h, binary.BigEndian, op.N) // never fails
	copy(body[:], h.Sum(sum[:0]))
	return key, body
}

// wasCounted returns what was counted under the idempotency key of an op, and
// whether anything was. ErrReused where that was another increment.
func (s *Store) wasCounted(op *poolkeeper.Op, at int64) (got poolkeeper.Result, done bool, err error) {
	key, body := hashOnce(op)
	n, ok := s.counted.where[key]
	if !ok {
		return got, false, nil
	}
	was, chunk := s.counted.at(n)
	if at >= was.Until {
		return got, false, nil
	}
	id, same := op.ID, was.Op == body
	if !same {
		id, same = s.givenAs(was, op, at)
	}
	if !same {
		return got, false, poolkeeper.Errorf(poolkeeper.ErrReused, "the idempotency key was used in this pool for another increment").
			WithHint("an increment that is not a retry needs a key of its own")
	}
	got = poolkeeper.Result{Status: poolkeeper.Applied, ID: id, Count: was.Count, Changed: true, Revision: s.revisions.get(lane(op.Key))}
	if i, ok := slices.BinarySearchFunc(chunk.Reached, n, func(r CountedReached, n uint64) int {
		return cmp.Compare(r.At, n)
	}); ok {
		got.ID = chunk.Reached[i].ID
	}
	return got, true, nil
}

// givenAs returns the id that a record was counted under, where that leads to
// the same provider as the id of an op and the number is that of the op. Only
// the hash of the id is known.
func (s *Store) givenAs(was *CountedRecord, op *poolkeeper.Op, at int64) (id string, ok bool) {
	ref, asked := op.Ref(), *op
	leads := s.leadsTo(ref, at)
	is := func(id string) bool {
		asked.ID = id
		_, body := hashOnce(&asked)
		return body == was.Op
	}
	if is(leads) {
		return leads, true
	}
	for old := range s.aliases.all {
		if old.Type == ref.Type && s.leadsTo(old, at) == leads && is(old.ID) {
			return old.ID, true
		}
	}
	return "", false
}

// once applies an increment, unless it was already under its idempotency key.
func (s *Store) once(op *poolkeeper.Op) (poolkeeper.Result, error) {
	at := s.at()
	res, done, err := s.wasCounted(op, at)
	if done || err != nil {
		return res, err
	}
	if res, err = s.perform(op); err != nil {
		return res, err
	}
	s.counted.add(op, at, &res)
	return res, nil
}

// add remembers an increment. It forgets two that have ended, if there are any,
// so that what it costs is always the same.
func (t *onceTable) add(op *poolkeeper.Op, at int64, res *poolkeeper.Result) {
	for range 2 {
		if t.From == t.end() {
			break
		}
		oldest, _ := t.at(t.From)
		full := int(t.end()-t.From) >= t.limit
		if oldest.Until > at && !full {
			break
		}
		t.early = t.early || oldest.Until > at
		t.forget(oldest.Key)
	}
	key, body := hashOnce(op)
	n := t.end()
	if len(t.Chunks) == 0 || len(t.Chunks[len(t.Chunks)-1].List) == CountedChunk {
		// A new list, as an image may have the old one.
		t.Chunks = append(slices.Clone(t.Chunks), CountedRecords{First: n})
	}
	last := &t.Chunks[len(t.Chunks)-1]
	last.List = append(last.List, CountedRecord{key, body, res.Count, at + poolkeeper.IdempotencyLife})
	if res.ID != op.ID {
		last.Reached = append(last.Reached, CountedReached{n, res.ID})
	}
	t.where[key] = n
}

// describe says what is remembered.
func (t *onceTable) describe(info *poolkeeper.Info) {
	if n := t.end() - t.From; n > 0 {
		info.Details = map[string]string{"idempotency keys": strconv.FormatUint(n, 10)}
	}
	if t.early {
		info.Warnings = append(info.Warnings, fmt.Sprintf("there are more than %d idempotency keys: the oldest no longer count, before their day is over", t.limit))
	}
}

// forget gives up the oldest one.
func (t *onceTable) forget(key [16]byte) {
	if t.where[key] == t.From { // it was not used again since
		delete(t.where, key)
	}
	t.From++
	if first := &t.Chunks[0]; t.From == first.First+uint64(len(first.List)) && len(first.List) == CountedChunk {
		t.Chunks = slices.Clone(t.Chunks[1:])
	}
}

// view is what is remembered now. It shares what does not change.
func (t *onceTable) view() Counted {
	v := Counted{From: t.From, Chunks: slices.Clone(t.Chunks)}
	for i := range v.Chunks {
		c := &v.Chunks[i]
		c.List, c.Reached = slices.Clip(c.List), slices.Clip(c.Reached)
	}
	return v
}

// fill makes an empty table remember what a view has.
func (t *onceTable) fill(v Counted) error {
	t.init()
	t.From = v.From
	t.Chunks = slices.Clone(v.Chunks)
	for i := range t.Chunks {
		c := &t.Chunks[i]
		if i > 0 && c.First != t.Chunks[i-1].First+CountedChunk || len(c.List) > CountedChunk || len(c.List) < CountedChunk && i < len(t.Chunks)-1 {
			return poolkeeper.Errorf(poolkeeper.ErrDamaged, "some of what was counted under idempotency keys is missing")
		}
		// What is appended must not go where a view of the same list ends.
		c.List, c.Reached = slices.Clip(c.List), slices.Clip(c.Reached)
		for j := range c.List {
			if n := c.First + uint64(j); n >= t.From {
				t.where[c.List[j].Key] = n
			}
		}
	}
	if len(t.Chunks) > 0 && (t.From < t.Chunks[0].First || t.From > t.end()) {
		return poolkeeper.Errorf(poolkeeper.ErrDamaged, "some of what was counted under idempotency keys is missing")
	}
	return nil
}
