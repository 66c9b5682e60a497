package transfer

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// ImportOptions of [Import]. A nil *ImportOptions means all defaults.
type ImportOptions struct {
	// Force lets the directory win where the store would otherwise keep what it
	// has: runtime state, tokens and sessions.
	Force bool
	// AllowExternal reads token files that providers name outside of the parent
	// of the directory.
	AllowExternal bool
	// Mirror removes from the store what the directory does not have: pools and
	// providers, tokens, documents, files, sessions, configuration, password.
	Mirror bool
	// DryRun reports what would be done, and does nothing.
	DryRun bool
	// Plan, where not nil, is called with what is going to be done, before
	// anything is written. An error of it ends the import.
	Plan func(*ImportResult) error
	// Progress, where not nil, is called with how much is done of how much.
	Progress func(done, total int)
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// Import brings a directory into a store. An uninitialised store becomes what
// the directory is, with its last step. In any other, tokens, files and
// documents are changed first, then each pool as a whole, then the
// configuration; what is only in the store stays, or is removed last with
// Mirror. All of it is planned before anything is written, and what is planned
// is what is done: where somebody changes the store in between so that it would
// be something else, the import ends with [poolkeeper.ErrConflict].
//
// Without Force, counters do not go back: a usageCount that is greater in the
// directory is added up to, all other runtime state stays. A stored token is
// replaced only by one that expires later; sessions are added. Definitions,
// documents, files, config and password are those of the directory. A provider
// without a usable uuid is that of the store which has the same definition, see
// [configdir.AdoptIDs]. Each thing that was kept is listed. A second import of the same directory changes
// nothing.
//
// At the end the store is compared with the directory;
// [poolkeeper.ErrDiffers] says that somebody changed it meanwhile. After an
// error, an import is simply run again.
func Import(ctx context.Context, st *poolkeeper.Store, dir string, opts *ImportOptions) (*ImportResult, error) {
	d, err := ReadDirectory(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	return d.Import(ctx, st)
}

// A Directory is a configs/ directory that was read, to be imported.
type Directory struct {
	path   string
	snap   *poolkeeper.Snapshot
	report *configdir.Report
	opts   *ImportOptions
	now    int64
}

// ReadDirectory is the first half of [Import], for those who want to know that a
// directory can be read before they open a store. Options are those of the whole.
func ReadDirectory(ctx context.Context, dir string, opts *ImportOptions) (*Directory, error) {
	if opts == nil {
		opts = &ImportOptions{}
	}
	d := &Directory{path: dir, opts: opts, now: millis(opts.Now)}
	var err error
	d.snap, d.report, err = configdir.ReadDir(ctx, dir, &configdir.ReadOptions{Now: fixed(d.now), AllowExternal: opts.AllowExternal})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Import is the second half of [Import]. It can be called once.
func (d *Directory) Import(ctx context.Context, st *poolkeeper.Store) (*ImportResult, error) {
	im := &importer{ctx: ctx, st: st, opts: d.opts, now: d.now, path: d.path, dir: d.snap, result: newResult(d.report, d.opts.DryRun)}
	return im.result, poolkeeper.Annotate(im.run(), "import", show.Name(d.path))
}

func newResult(report *configdir.Report, dryRun bool) *ImportResult {
	return &ImportResult{Report: report, DryRun: dryRun, Providers: report.Providers, Tokens: report.Tokens, Config: report.Config}
}

// run imports what was read.
func (im *importer) run() (err error) {
	im.store, err = im.st.Snapshot(im.ctx)
	switch {
	case errors.Is(err, poolkeeper.ErrUninitialized), im.adopts(err):
		err = im.restore()
	case err == nil && im.from != nil && im.from.Adopt != nil:
		return im.finish()
	case err == nil:
		err = im.update()
	}
	if err != nil || im.opts.DryRun {
		return err
	}
	return im.verify()
}

// millis reads a clock, once: all that one call does happens at one time.
func millis(now func() time.Time) int64 {
	if now == nil {
		now = time.Now
	}
	return now().UnixMilli()
}

func fixed(ms int64) func() time.Time {
	return func() time.Time { return time.UnixMilli(ms) }
}

// An importer is one import under way.
type importer struct {
	ctx     context.Context
	st      *poolkeeper.Store
	opts    *ImportOptions
	now     int64
	path    string // of the directory
	dir     *poolkeeper.Snapshot
	from    *Source // what it is in place of a directory, or nil
	store   *poolkeeper.Snapshot
	result  *ImportResult
	kept    map[poolkeeper.Key]bool // what may differ at the end
	claimed map[poolkeeper.Ref]bool // refs whose stored token is spoken for
	used    map[poolkeeper.Key]bool // values of the store that the directory has

	done, total int
}

func (im *importer) progress(n int) {
	im.done += n
	if im.opts.Progress != nil {
		im.opts.Progress(min(im.done, im.total), im.total)
	}
}

// restore fills an uninitialised store.
func (im *importer) restore() error {
	im.result.Restored = true
	for _, t := range im.dir.Types {
		im.added(poolkeeper.PoolKey(t), "", "")
		for i := range im.dir.Pools[t].Providers {
			im.added(poolkeeper.ProviderKey(im.dir.Pools[t].Providers[i].Ref), "", "")
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(im.dir.Values), poolkeeper.CompareKeys) {
		im.added(k, "", "")
	}
	im.total = len(im.result.Added)
	if err := im.announce(); err != nil || im.opts.DryRun {
		return err
	}
	im.describe(time.UnixMilli(im.now).UTC().Format("2006-01-02T15:04:05.000Z"))
	im.progress(0)
	if err := im.fill(); err != nil {
		return err
	}
	im.progress(im.total)
	return nil
}

// update brings the directory into an initialised store.
func (im *importer) update() error {
	im.kept, im.claimed, im.used = map[poolkeeper.Key]bool{}, map[poolkeeper.Ref]bool{}, map[poolkeeper.Key]bool{}
	// Before what is known by id is put in order by it.
	if err := configdir.AdoptIDs(im.dir, im.store, im.result.Report, im.from != nil, im.comparing()); err != nil {
		return err
	}
	if im.from != nil {
		if err := im.prepare(); err != nil {
			return err
		}
	}
	var values valuePlan
	im.planTokens(&values)
	im.planValues(&values)
	var pools []*poolPlan
	if err := im.findAliases(); err != nil {
		return err
	}
	for _, t := range im.dir.Types {
		p := im.planPool(im.dir.Pools[t], im.store.Pools[t])
		im.total += p.ops()
		im.merge(p)
		pools = append(pools, p)
	}
	order := im.planTypes()
	gone, excess := im.planRemovals()
	for _, ops := range [][]poolkeeper.Op{values.moves, values.moveRefs, values.data, values.refs, gone, order, values.last, excess} {
		im.total += len(ops)
	}
	if err := im.announce(); err != nil || im.opts.DryRun {
		return err
	}
	finish, err := im.mark()
	if err != nil {
		return err
	}
	for _, ops := range [][]poolkeeper.Op{values.moves, values.moveRefs, values.data, values.refs} {
		if err := im.apply(ops); err != nil {
			return err
		}
	}
	for _, p := range pools {
		if err := im.applyPool(p); err != nil {
			return err
		}
	}
	for _, ops := range [][]poolkeeper.Op{gone, order, values.last, excess} {
		if err := im.apply(ops); err != nil {
			return err
		}
	}
	return finish()
}

// announce says what is going to be done.
func (im *importer) announce() error {
	if err := im.ctx.Err(); err != nil || im.opts.Plan == nil {
		return err
	}
	return im.opts.Plan(im.result)
}

// apply applies ops, some at a time.
func (im *importer) apply(ops []poolkeeper.Op) error {
	const mostOps, mostBytes = 500, 4 << 20
	for len(ops) > 0 {
		n, size := 0, 0
		for n < len(ops) && n < mostOps && (n == 0 || size+len(ops[n].Data) <= mostBytes) {
			size += len(ops[n].Data)
			n++
		}
		for i, r := range im.st.Apply(im.ctx, ops[:n]...) {
			if ops[i].Kind == poolkeeper.OpDelete && errors.Is(r.Err, poolkeeper.ErrNotFound) {
				continue // a session that has ended by itself
			}
			if r.Err != nil {
				return im.failed(&ops[i], r.Err)
			}
		}
		im.progress(n)
		ops = ops[n:]
	}
	return nil
}

func (im *importer) failed(op *poolkeeper.Op, err error) error {
	err = poolkeeper.Annotate(err, "import", op.Subject())
	var e *poolkeeper.Error
	if errors.As(err, &e) && e.Hint == "" {
		return e.WithHint("run the import again, it goes on where it stopped")
	}
	return err
}

func (im *importer) comparing() *configdir.CompareOptions {
	// What lies outside is then its own difference, and none of a definition.
	return &configdir.CompareOptions{ContentOnly: true, AllowExternal: true, Dir: im.path, Now: fixed(im.now)}
}

// verify compares the store with the directory, save for what was kept and,
// unless it mirrors the directory, what is only in the store.
func (im *importer) verify() error {
	im.store = nil // it is no longer needed, and may be big
	got, err := im.st.Snapshot(im.ctx)
	if err != nil {
		return err
	}
	c, err := configdir.CompareSnapshots(im.dir, got, im.comparing())
	if err != nil {
		return err
	}
	c.Differences = slices.DeleteFunc(c.Differences, func(d configdir.Difference) bool {
		return d.Kind == configdir.Extra && !im.opts.Mirror || im.kept[d.Key]
	})
	if err := c.Err(); err != nil {
		return poolkeeper.Errorf(poolkeeper.ErrDiffers, "verified after the import: %v", err).
			WithHint("somebody may have changed the store meanwhile: run the import again")
	}
	return nil
}
