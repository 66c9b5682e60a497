package memstore

import (
	"context"
	"maps"

	"github.com/poolkeeper/poolkeeper"
)

// An Image is everything that a Store holds, exactly: a snapshot of all keys,
// and what no snapshot has.
type Image struct {
	*poolkeeper.Snapshot
	Renamed map[poolkeeper.Ref]Alias
	// Revisions are those of all keys that were ever changed, of pools by their
	// key, of files and of token paths together.
	Revisions  map[poolkeeper.Key]poolkeeper.Revision
	Structures map[string]poolkeeper.Revision
	Counted    []Counted
	// SweepAt is how many sessions there must be before expired ones are
	// forgotten.
	SweepAt int
}

// An Alias is where an old id leads, and until when, in milliseconds since 1970.
type Alias struct {
	ID   string
	Ends int64
}

// A Counted is an increment that was counted under an idempotency key, with what
// it was answered, and until when the key counts.
type Counted struct {
	Type      string `json:"type"`
	Key       string `json:"key"`
	ID        string `json:"id"` // that the op was given
	N         int64  `json:"n"`
	Until     int64  `json:"until"`
	ReachedID string `json:"reached,omitempty"` // where it is another one
	Count     int64  `json:"count"`
}

// Image copies what the store holds, sessions that have expired included. The
// error is that of Load.
func (s *Store) Image(ctx context.Context) (*Image, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	r := reading{s: s, snap: poolkeeper.NewSnapshot()}
	for _, key := range []poolkeeper.Key{poolkeeper.MetaKey, poolkeeper.PoolsKey} {
		if err := r.read(key); err != nil {
			return nil, err
		}
	}
	for _, values := range s.values {
		maps.Copy(r.snap.Values, values)
	}
	image := &Image{
		Snapshot: r.snap, Renamed: make(map[poolkeeper.Ref]Alias, len(s.aliases)),
		Revisions: maps.Clone(s.revisions), Structures: maps.Clone(s.structures), SweepAt: s.sweepAt,
	}
	for ref, a := range s.aliases {
		image.Renamed[ref] = Alias{a.id, a.ends}
	}
	image.Counted = s.allCounted()
	return image, ctx.Err()
}

// FromImage returns a Store that holds what an image has, epoch and revisions
// included. What is in it is checked as a snapshot is.
func FromImage(image *Image, opts *Options) (*Store, error) {
	s := New(opts)
	if err := s.fill(image.Snapshot); err != nil {
		return nil, err
	}
	s.meta = maps.Clone(image.Meta)
	for key, d := range image.Values {
		s.values[key.Kind][key] = d
	}
	for ref, a := range image.Renamed {
		s.aliases[ref] = alias{a.ID, a.Ends}
	}
	s.revisions, s.structures = maps.Clone(image.Revisions), maps.Clone(image.Structures)
	s.sweepAt = image.SweepAt
	s.setCounted(image.Counted)
	return s, nil
}

// Writer is the instance of the store, as its revisions name it.
func (s *Store) Writer() string { return s.writer }
