package configdir

import (
	"context"
	"path"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// ReadOptions of [ReadDir]. A nil *ReadOptions means all defaults.
type ReadOptions struct {
	// AllowExternal reads token files that providers name outside of the parent
	// of the directory, by absolute paths or through "..".
	AllowExternal bool
	// MaxBytes bounds all files of the directory together, which are held in
	// memory; [DefaultMaxBytes] where it is 0.
	MaxBytes int64
	// Now is the clock by which sessions expire; time.Now where nil.
	Now func() time.Time
}

// DefaultMaxBytes is how many bytes the files of a directory may have together.
const DefaultMaxBytes = 1 << 30

func clock(now func() time.Time) int64 {
	if now == nil {
		now = time.Now
	}
	return now().UnixMilli()
}

// ReadDir reads a configs/ directory and what its providers name beside it.
// Every file is in the snapshot to the byte, save the transient ones, which
// the report lists. What is odd but usable is carried and noted in the report.
//
// What cannot be taken whole is refused, and then nothing is returned:
// [poolkeeper.ErrInvalid] for a provider_pools.json or config.json that is
// damaged or not what it must be, and for the parent of a configs/ directory in its
// place, [poolkeeper.ErrTooLarge],
// [poolkeeper.ErrNotFound] for the directory, [poolkeeper.ErrForbidden] for
// what cannot be read. The error names file and place.
func ReadDir(ctx context.Context, dir string, opts *ReadOptions) (*poolkeeper.Snapshot, *Report, error) {
	if opts == nil {
		opts = &ReadOptions{}
	}
	root, err := openRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.close()
	if err := root.notParent(); err != nil {
		return nil, nil, err
	}
	report := &Report{}
	w := newWalker(ctx, root, report)
	if w.most = opts.MaxBytes; w.most == 0 {
		w.most = DefaultMaxBytes
	}
	if err := w.walk(root.dir, Name, Name, nil); err != nil {
		return nil, nil, err
	}
	r := &reader{
		root: root, report: report, files: w.files, snap: poolkeeper.NewSnapshot(), check: newChecker(report),
		external: opts.AllowExternal,
		used:     make(map[string]bool, len(w.files)), second: map[string]bool{}, owners: make(map[string]poolkeeper.Ref, len(w.files)),
	}
	r.snap.Values = make(map[poolkeeper.Key]poolkeeper.Document, 2*len(w.files)) // a token, and its path
	if err := r.read(ctx, clock(opts.Now)); err != nil {
		return nil, nil, err
	}
	return r.snap, report, nil
}

// A reader makes a snapshot of the files that a walk found.
type reader struct {
	root   *root
	report *Report
	files  map[string]*scanned
	snap   *poolkeeper.Snapshot
	check  *checker

	external bool                      // whether token files outside may be read
	used     map[string]bool           // paths of files that are tokens, or configuration
	owners   map[string]poolkeeper.Ref // resolved path of a token file → its owner
	taken    []taken                   // the tokens, in their order
	second   map[string]bool           // files that only a second path, or config.json, names
}

func (r *reader) read(ctx context.Context, now int64) error {
	if f := r.files[configFile]; f != nil {
		if err := r.config(f.data); err != nil {
			return err
		}
		r.put(poolkeeper.ConfigKey, f.data)
		r.report.Config = true
	}
	if f := r.files[poolsFile]; f != nil {
		if err := r.pools(ctx, f.data); err != nil {
			return err
		}
	}
	if f := r.files[passwordFile]; f != nil {
		r.put(poolkeeper.PasswordKey, f.data)
		r.report.Password = true
	}
	for name, want := range documents {
		if f := r.files[Name+"/"+name]; f != nil {
			r.put(poolkeeper.DocumentKey(name), f.data)
			r.report.Documents++
			checkDocument(r.report, Name+"/"+name, want, f.data)
			if name == TokenStore {
				r.sessions(f.data, now)
			}
		}
	}
	r.carry()
	r.report.Transient = slices.DeleteFunc(r.report.Transient, func(p string) bool { return r.used[p] || r.second[p] })
	// Documents come in the order of a map.
	slices.SortStableFunc(r.report.Warnings, func(a, b Note) int { return compareRank(a.Path, b.Path) })
	r.report.finish()
	return ctx.Err()
}

// compareRank puts config.json and the pools first, then the others by name.
func compareRank(a, b string) int {
	rank := func(p string) string {
		switch p {
		case configFile:
			return "0"
		case poolsFile:
			return "1"
		}
		return "2" + p
	}
	if x, y := rank(a), rank(b); x != y {
		if x < y {
			return -1
		}
		return 1
	}
	return 0
}

func (r *reader) put(k poolkeeper.Key, data []byte) {
	r.snap.Values[k] = poolkeeper.Document{Data: data}
}

func (r *reader) pools(ctx context.Context, data []byte) error {
	pools, err := parsePools(data, r.report)
	if err != nil {
		return r.root.annotate(poolsFile, err)
	}
	r.snap.Types = make([]string, 0, len(pools))
	var paths []named
	for _, p := range pools {
		pool := r.check.pool(p)
		of := make([][]named, len(pool.Providers))
		err := r.inParts(ctx, len(of), func(from, to int, report *Report) {
			check := newChecker(report)
			for i := from; i < to; i++ {
				if n := check.definition(p.typ, i, p.definitions[i]); n > 0 {
					of[i] = tokenPaths(report, &pool.Providers[i], i, n)
				}
			}
		})
		if err != nil {
			return err
		}
		for _, some := range of {
			paths = append(paths, some...)
		}
		r.snap.Types = append(r.snap.Types, p.typ)
		r.snap.Pools[p.typ] = pool
		r.report.Types++
		r.report.Providers += len(pool.Providers)
	}
	return r.tokens(ctx, paths)
}

func (r *reader) sessions(data []byte, now int64) {
	s := readTokenStore(data, now)
	r.report.SessionEntries = s.entries
	r.report.Sessions = len(s.live)
	if s.odd > 0 {
		r.report.note(Name+"/"+TokenStore, "/tokens", CodeSession, "%d sessions cannot be used, and stay in the file only", s.odd)
	}
	for bearer, one := range s.live {
		r.snap.Values[poolkeeper.SessionKey(poolkeeper.SessionName(bearer))] = poolkeeper.Document{
			Data: poolkeeper.EncodeSession(bearer, one.raw), ExpiresAt: one.expiresAt,
		}
	}
}

// carry takes all files that are nothing else.
func (r *reader) carry() {
	for p, f := range r.files {
		if isReserved(p) || r.used[p] {
			continue
		}
		r.put(poolkeeper.FileKey(p), f.data)
		r.report.Files++
		if !r.second[p] && !isPrompt(p) {
			r.report.Unreferenced = append(r.report.Unreferenced, p)
		}
	}
}

// isPrompt reports whether the gateway itself reads a carried file.
func isPrompt(p string) bool {
	return path.Dir(p) == Name && (path.Base(p) == "input_system_prompt.txt" || path.Base(p) == "fetch_system_prompt.txt")
}
