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
	Counted    Counted
	// SweepAt is how many sessions there must be before expired ones are
	// forgotten.
	SweepAt int
}

// An Alias is where an old id leads, and until when, in milliseconds since 1970.
type Alias struct {
	ID   string
	Ends int64
}

// Image is the image of a View of now.
func (s *Store) Image(ctx context.Context) (*Image, error) {
	v, err := s.View(ctx)
	if err != nil {
		return nil, err
	}
	return v.Image(), ctx.Err()
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
		s.values[key.Kind].set(key, d)
	}
	for ref, a := range image.Renamed {
		s.aliases.set(ref, alias{a.ID, a.Ends})
	}
	s.revisions, s.structures = cowOf(image.Revisions), cowOf(image.Structures)
	s.sweepAt = image.SweepAt
	return s, s.counted.fill(image.Counted)
}

// Writer is the instance of the store, as its revisions name it.
func (s *Store) Writer() string { return s.writer }
