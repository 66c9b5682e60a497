package transfer

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
)

// A Source is a store to import from, as it was read.
type Source struct {
	// Name says where it is, without secrets.
	Name     string
	Snapshot *poolkeeper.Snapshot // from then on the import's own
	Notes    []configdir.Note
	// Unordered says that the order of pools and providers means nothing: what
	// is in the store already keeps its place.
	Unordered bool
	// Adopt is given where the source is the store itself, in a foreign layout:
	// it makes the store what the snapshot is. In a store that is initialised it
	// finishes what an earlier run has left to do.
	Adopt func(context.Context, *poolkeeper.Snapshot) error
}

// ImportSource brings what is in another store into a store, as [Import] does
// with the directory that an export of the other one would be. An uninitialised
// store becomes what the other one is.
func ImportSource(ctx context.Context, st *poolkeeper.Store, src *Source, opts *ImportOptions) (*ImportResult, error) {
	if opts == nil {
		opts = &ImportOptions{}
	}
	im := &importer{ctx: ctx, st: st, opts: opts, now: millis(opts.Now), dir: src.Snapshot, from: src}
	im.result = newResult(src.report(), opts.DryRun)
	// What cannot be a directory is found before anything is written.
	_, err := configdir.CompareSnapshots(im.dir, im.dir, im.comparing())
	if err == nil {
		err = im.run()
	}
	return im.result, poolkeeper.Annotate(err, "import", src.Name)
}

// report counts what the source has.
func (s *Source) report() *configdir.Report {
	r := &configdir.Report{Types: len(s.Snapshot.Types), Warnings: s.Notes}
	r.Providers, r.Tokens, r.Documents, r.Files, r.Sessions = s.Snapshot.Counts()
	r.TokenFiles = len(s.Snapshot.KeysOf(poolkeeper.KindTokenRefs))
	_, r.Config = s.Snapshot.Values[poolkeeper.ConfigKey]
	_, r.Password = s.Snapshot.Values[poolkeeper.PasswordKey]
	return r
}

// adopts reports whether the store is the source itself, and to be converted.
func (im *importer) adopts(err error) bool {
	return im.from != nil && im.from.Adopt != nil && errors.Is(err, poolkeeper.ErrForeign)
}

// finish ends a conversion in place of which only the last bit is left to do.
// The store is its own source, so there is nothing else to change or compare.
func (im *importer) finish() error {
	if err := im.announce(); err != nil || im.opts.DryRun {
		return err
	}
	if err := im.from.Adopt(im.ctx, im.dir); err != nil {
		return err
	}
	snap, err := im.st.Snapshot(im.ctx)
	if err != nil {
		return err
	}
	im.from.Snapshot = snap
	im.result = newResult(im.from.report(), false)
	return nil
}

// fill makes an uninitialised store, or the foreign one that the source is, what
// was read.
func (im *importer) fill() error {
	if im.from != nil && im.from.Adopt != nil {
		return im.from.Adopt(im.ctx, im.dir)
	}
	return im.st.Restore(im.ctx, im.dir)
}

// prepare makes what another store has like a directory, for a store in use:
// with the runtime state laid over the definitions, and in the order of the
// store where it has none of its own.
func (im *importer) prepare() error {
	for _, t := range im.dir.Types {
		pool := im.dir.Pools[t]
		if pool == nil {
			pool = &poolkeeper.Pool{Type: t}
		}
		own := *pool
		own.Providers = slices.Clone(pool.Providers)
		for i := range own.Providers {
			p := &own.Providers[i]
			if p.State.IsZero() {
				continue
			}
			def, err := p.JSON()
			if err != nil {
				return err
			}
			p.Definition, p.State = def, poolkeeper.State{}
		}
		if stored := im.store.Pools[t]; stored != nil && im.from.Unordered {
			at := make(map[string]int, len(stored.Providers))
			for i := range stored.Providers {
				at[stored.Providers[i].ID] = i
			}
			inOrder(own.Providers, at, func(p poolkeeper.Provider) string { return p.ID })
		}
		im.dir.Pools[t] = &own
	}
	if im.from.Unordered {
		at := make(map[string]int, len(im.store.Types))
		for i, t := range im.store.Types {
			at[t] = i
		}
		im.dir.Types = slices.Clone(im.dir.Types)
		inOrder(im.dir.Types, at, func(t string) string { return t })
	}
	return nil
}

// inOrder sorts a list by places; what has none comes last, as it stands.
func inOrder[T any](list []T, at map[string]int, name func(T) string) {
	place := func(x T) int {
		if i, ok := at[name(x)]; ok {
			return i
		}
		return len(at)
	}
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(place(a), place(b)) })
}

// describe adds where a store came from to what is known of it. What another
// store says of itself stays.
func (im *importer) describe(at string) {
	meta := maps.Clone(im.dir.Meta)
	if meta == nil {
		meta = map[string]string{}
	}
	from := "directory"
	if im.from != nil {
		from = "redis"
	}
	if _, known := meta["migratedAt"]; known {
		meta["importedAt"], meta["importedFrom"] = at, from
	} else {
		meta["migratedAt"], meta["migratedFrom"] = at, from
	}
	im.dir.Meta = meta
}
