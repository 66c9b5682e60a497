package open

import (
	"context"
	"errors"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// A Source is a Redis to import from: in a foreign layout, or a store of
// Poolkeeper's.
type Source struct {
	b    *redisstore.Store
	opts *Options
}

// Redis opens a Redis to import from. Errors are those of [Store].
func Redis(ctx context.Context, r *settings.Redis, opts *Options) (*Source, error) {
	if opts == nil {
		opts = &Options{}
	}
	b, err := openRedis(ctx, r, "", nil, hooks{}, opts)
	if err != nil {
		return nil, err
	}
	return &Source{b, opts}, nil
}

// Read reads all that is there. foreign says that it is in a foreign layout, of
// which the notes say what was odd.
func (s *Source) Read(ctx context.Context) (snap *poolkeeper.Snapshot, notes []configdir.Note, foreign bool, err error) {
	snap, odd, err := s.b.LoadForeign(ctx)
	switch {
	case errors.Is(err, poolkeeper.ErrExists):
		snap, err = s.b.Load(ctx)
		return snap, nil, false, err
	case errors.Is(err, poolkeeper.ErrUninitialized):
		return nil, nil, false, poolkeeper.Errorf(poolkeeper.ErrUninitialized, "there is nothing to import in that Redis under this prefix").
			WithHint("check URL, database and prefix: --from-redis, --from-key-prefix")
	case err != nil:
		return nil, nil, false, err
	}
	for _, n := range odd {
		notes = append(notes, configdir.Note{Path: n.Key, Where: n.Where, Code: configdir.Code(n.Code), Text: n.Text})
	}
	return snap, notes, true, nil
}

// Store is the store that the source is, for a conversion where it lies.
func (s *Source) Store() *poolkeeper.Store {
	return poolkeeper.New(s.b, &poolkeeper.Options{Now: s.opts.Now})
}

// Adopt makes a foreign layout Poolkeeper's, where it lies, see
// [redisstore.Store.Adopt].
func (s *Source) Adopt(ctx context.Context, snap *poolkeeper.Snapshot) error {
	return s.b.Adopt(ctx, snap)
}

// Close closes the source, and the store that it is.
func (s *Source) Close() error { return s.b.Close() }
