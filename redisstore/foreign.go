package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// A ForeignNote is something that an operator should know of a store in a
// foreign layout. It holds no content, and no bearer, which are the names of
// keys there.
type ForeignNote struct {
	Key   string // the name of the key without the prefix
	Where string // the place in it: the field of a hash, and one of the definition
	Code  string
	Text  string
}

// The codes of notes.
const (
	noteOrder    = "order"           // the layout keeps no order
	noteList     = "list"            // a list that Lua had written as an object was read as one
	noteNumber   = "number"          // a number that Lua may have cut
	noteUUID     = "uuid"            // a provider has no uuid, or another than its field
	noteUTF8     = "utf8"            // bytes that are no UTF-8
	noteTTL      = "ttl"             // a token that would have expired out of the store
	noteToken    = "token"           // a token under another name than its provider has
	noteCopy     = "token-duplicate" // a token whose content is stored under another name
	noteOrphan   = "token-orphan"    // a token that no provider has
	noteObject   = "token-object"    // a token that is no JSON object
	noteConfig   = "config"          // a setting of the configuration that the gateway would stumble over
	noteDocument = "document"        // a document that is no JSON
	noteSession  = "session"         // a session that cannot be used
	noteCounter  = "counter"         // a counter that does not count
	noteIgnored  = "ignored"         // keys that hold nothing to keep
	noteUnknown  = "unknown"         // keys that are nothing known
)

// LoadForeign reads a store in a foreign layout, that of the gateway's forks,
// see docs/formats.md: the pools in the order of their ids, each token under
// the provider that it belongs to, and what else there is. Notes say what was
// odd, what was put right, and what was left.
//
// Nothing is written. What cannot be taken whole is refused, and nothing is
// returned then: ErrInvalid for a key of another type than the layout has, a
// definition or configuration that is no JSON object, and names that cannot
// be; ErrTooLarge. The error names the key. ErrExists where the store is
// Poolkeeper's own, ErrUninitialized where there is none, ErrDamaged where it
// was Poolkeeper's and its meta hash is gone.
func (s *Store) LoadForeign(ctx context.Context) (*poolkeeper.Snapshot, []ForeignNote, error) {
	if err := s.enter(); err != nil {
		return nil, nil, err
	}
	defer s.leave()
	if err := s.mustBeForeign(ctx); err != nil {
		return nil, nil, err
	}
	f, err := s.readForeign(ctx, func() error { return nil })
	if err != nil {
		return nil, nil, err
	}
	return f.snap, f.notes, nil
}

// mustBeForeign looks at the store again.
func (s *Store) mustBeForeign(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.cause.Problem == errForeign.Detail:
		return nil
	case s.cause.Problem == errEpoch.Detail:
		return errEpoch
	case s.cause.Epoch != "":
		return errInitialized
	}
	return errUninitialized
}

// A foreignReader makes a snapshot of a foreign store.
type foreignReader struct {
	*Store
	ctx   context.Context
	alive func() error // called before each round trip of many
	snap  *poolkeeper.Snapshot
	notes []ForeignNote

	keys   map[foreignKind][]*foreignKey // by name, in each kind
	resume bool                          // an earlier conversion in place was cut off
	own    []string                      // what that one has made for itself

	pools  map[string]*foreignPool
	types  []string                  // those of the pools, the longest first
	values map[string][]byte         // what was read of strings, by the name of the key
	owners map[string]poolkeeper.Ref // paths of token files → whose token is there
	left   map[string]bool           // names of the keys that stay as they are
	fields map[poolkeeper.Ref]string // providers → the fields that they were read from
}

func (s *Store) readForeign(ctx context.Context, alive func() error) (*foreignReader, error) {
	f := &foreignReader{
		Store: s, ctx: ctx, alive: alive, snap: poolkeeper.NewSnapshot(), keys: map[foreignKind][]*foreignKey{},
		pools: map[string]*foreignPool{}, values: map[string][]byte{},
		owners: map[string]poolkeeper.Ref{}, left: map[string]bool{}, fields: map[poolkeeper.Ref]string{},
	}
	for _, step := range []func() error{f.readMeta, f.readNames, f.isKnown, f.readHeads, f.readPools, f.readTokens, f.readSessions, f.readDocuments, f.readCounters} {
		if err := step(); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, err
		}
	}
	f.noteRest()
	slices.SortStableFunc(f.notes, func(a, b ForeignNote) int { return cmp.Compare(a.Key, b.Key) })
	return f, validateSnapshot(f.snap)
}

func (f *foreignReader) note(key, where, code, format string, args ...any) {
	f.notes = append(f.notes, ForeignNote{key, where, code, fmt.Sprintf(format, args...)})
}

// maxAlike is how many notes of one kind about one key are given; of the others
// there is one that counts them.
const maxAlike = 10

// noteEach notes one thing of many places of a key.
func (f *foreignReader) noteEach(key, code, text string, places []string) {
	for _, p := range places[:min(len(places), maxAlike)] {
		f.note(key, p, code, "%s", text)
	}
	if more := len(places) - maxAlike; more > 0 {
		f.note(key, "", code, "%d more: %s", more, text)
	}
}

// mendable names the key in an error about a value, and what to do.
func mendable(err error, key, hint string) error {
	var e *poolkeeper.Error
	if err = poolkeeper.Annotate(err, "read", key); errors.As(err, &e) {
		return e.WithHint("%s, and run the import again", hint)
	}
	return err
}

// refuseKey makes an error about one key.
func refuseKey(sentinel error, key, format string, args ...any) *poolkeeper.Error {
	e := poolkeeper.Errorf(sentinel, format, args...)
	e.Action, e.Key = "read", key
	return e
}
