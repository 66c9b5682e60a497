package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// Load reads the last snapshot of a directory: all of one moment, as it was written,
// but for the carried files, which stay under gateway/. It writes nothing.
//
// Where a part of it is damaged, that part is taken from the files under gateway/,
// which may be older or newer; [Manifest.Damage] then says so, and the caller tells a
// person. Where those cannot be read either the error is [poolkeeper.ErrDamaged]. It
// is [poolkeeper.ErrNotFound] where no snapshot was written.
func Load(ctx context.Context, dir string) (*poolkeeper.Snapshot, *Manifest, error) {
	fsys, err := vfs.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, none(dir)
	}
	if err != nil {
		return nil, nil, reading(err)
	}
	defer fsys.Close()
	for try := 0; ; try++ {
		snap, m, err := load(ctx, fsys, dir)
		if err != nil || len(m.Damage) == 0 || try == 2 {
			return snap, m, err
		}
		// It may have been replaced meanwhile, and its sections be gone.
		if now, err := readManifest(fsys); err != nil || now == nil || now.WrittenAt == m.WrittenAt {
			return snap, m, nil
		}
	}
}

// Files reads the carried files of the last snapshot of a directory, which Load does
// not. One that is not as it was written is an error. Errors are those of Load.
func Files(ctx context.Context, dir string) (*poolkeeper.Snapshot, error) {
	fsys, err := vfs.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, none(dir)
	}
	if err != nil {
		return nil, reading(err)
	}
	defer fsys.Close()
	snap, err := filesIn(ctx, fsys, dir)
	if err != nil {
		return nil, err
	}
	return snap, nil
}

// filesIn is Files, and returns what is whole beside the error.
func filesIn(ctx context.Context, fsys vfs.FS, dir string) (snap *poolkeeper.Snapshot, fault error) {
	snap = poolkeeper.NewSnapshot()
	m, err := readManifest(fsys)
	switch {
	case err != nil:
		return snap, reading(err)
	case m == nil:
		return snap, none(dir)
	}
	failed := func(err error) {
		if fault == nil {
			fault = err
		}
	}
	for _, name := range m.Paths {
		if name == "" { // a part without files
			continue
		}
		data, err := readSection(fsys, name)
		if err != nil {
			failed(reading(err))
			continue
		}
		var shard map[string]left
		if json.Unmarshal(data, &shard) != nil {
			failed(damaged(name, "it is no list of files"))
			continue
		}
		for at, f := range shard {
			if !f.Carried {
				continue
			}
			if err := ctx.Err(); err != nil {
				return snap, err
			}
			data, err := vfs.ReadFile(fsys, in(at), poolkeeper.MaxFile)
			switch {
			case err != nil:
				failed(reading(err))
			case hashOf(data) != f.Hash:
				failed(damaged(in(at), "it is not as it was written"))
			default:
				snap.Values[poolkeeper.FileKey(at)] = poolkeeper.Document{Data: data}
			}
		}
	}
	return snap, fault
}

func none(dir string) error {
	return poolkeeper.Errorf(poolkeeper.ErrNotFound, "no snapshot was written to %s", dir)
}

func reading(err error) error {
	var known *poolkeeper.Error
	if errors.As(err, &known) {
		return err
	}
	sentinel := poolkeeper.ErrInternal
	if errors.Is(err, fs.ErrPermission) {
		sentinel = poolkeeper.ErrForbidden
	}
	return &poolkeeper.Error{Action: "read", Key: "snapshot", Err: sentinel, Detail: err.Error()}
}

func load(ctx context.Context, fsys vfs.FS, dir string) (*poolkeeper.Snapshot, *Manifest, error) {
	m, err := readManifest(fsys)
	switch {
	case errors.Is(err, poolkeeper.ErrDamaged):
		return fromFiles(ctx, dir, err)
	case err != nil:
		return nil, nil, reading(err)
	case m == nil:
		if _, err := fsys.Stat(in(poolsPath)); err != nil {
			return nil, nil, none(dir)
		}
		return fromFiles(ctx, dir, damaged(manifestFile, "it is missing"))
	}
	names := slices.Sorted(maps.Keys(m.sections()))
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(m.Paths, n) })
	parts := make([]*poolkeeper.Snapshot, len(names))
	faults := make([]error, len(names))
	err = parallel(len(names), func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := readSection(fsys, names[i])
		if err == nil {
			if parts[i], err = decodeSection(data); err != nil {
				err = damaged(names[i], err.Error())
			}
		}
		faults[i] = err
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	l := &loader{m: m, snap: poolkeeper.NewSnapshot(), parts: map[string]*poolkeeper.Snapshot{}}
	for i, name := range names {
		if faults[i] != nil {
			m.Damage = append(m.Damage, faults[i].Error())
			continue
		}
		l.parts[name] = parts[i]
	}
	if len(m.Damage) > 0 {
		if l.files, _, err = fromFiles(ctx, dir, poolkeeper.Errorf(poolkeeper.ErrDamaged, "%s", m.Damage[0])); err != nil {
			return nil, nil, err
		}
	}
	if err := l.assemble(); err != nil {
		return nil, nil, damaged(manifestFile, err.Error())
	}
	return l.snap, m, nil
}

// fromFiles takes the state from the files under gateway/, as something is wrong.
func fromFiles(ctx context.Context, dir string, why error) (*poolkeeper.Snapshot, *Manifest, error) {
	snap, _, err := configdir.ReadDir(ctx, filepath.FromSlash(ConfigDir(dir)), nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, err
		}
		return nil, nil, poolkeeper.Errorf(poolkeeper.ErrDamaged, "%v; and the files beside it cannot take its place: %v", why, err)
	}
	snap = withoutFiles(snap)
	m := &Manifest{Version: formatVersion, Damage: []string{fmt.Sprintf("%v; all is taken from the files of %s/configs", why, treeDir)}}
	m.Providers, m.Tokens, m.Documents, m.Files, m.Sessions = snap.Counts()
	for _, typ := range snap.Types {
		m.Pools = append(m.Pools, PoolMark{Type: typ, Providers: len(snap.Pools[typ].Providers)})
	}
	if info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(in(poolsPath)))); err == nil {
		m.WrittenAt = info.ModTime().UnixMilli()
	}
	return snap, m, nil
}

// A loader puts the sections of a snapshot together.
type loader struct {
	m     *Manifest
	snap  *poolkeeper.Snapshot
	parts map[string]*poolkeeper.Snapshot // those that are whole
	files *poolkeeper.Snapshot            // from gateway/, where some are not
}

func (l *loader) assemble() error {
	if c := l.parts[l.m.Common]; c != nil {
		l.snap.Meta, l.snap.Aliases = c.Meta, c.Aliases
	} else if l.m.Epoch != "" {
		l.snap.Meta["epoch"] = l.m.Epoch
	}
	for i := range l.m.Pools {
		if err := l.pool(&l.m.Pools[i]); err != nil {
			return err
		}
	}
	whole := true
	for _, name := range l.m.Values {
		switch part := l.parts[name]; {
		case name == "":
		case part == nil:
			whole = false
		default:
			maps.Copy(l.snap.Values, part.Values)
		}
	}
	if !whole {
		for k, d := range l.files.Values {
			if _, ok := l.snap.Values[k]; !ok {
				l.snap.Values[k] = d
			}
		}
	}
	return nil
}

func (l *loader) pool(mark *PoolMark) (err error) {
	p := &poolkeeper.Pool{Type: mark.Type, Providers: make([]poolkeeper.Provider, 0, mark.Providers)}
	for _, name := range mark.Sections {
		part := l.parts[name]
		if part == nil {
			// The whole pool, so that it is of one moment. It has no revision then,
			// and is loaded once the store is there.
			if p := l.files.Pools[mark.Type]; p != nil {
				l.snap.AddPool(p)
			} else {
				l.m.Damage = append(l.m.Damage, fmt.Sprintf("the pool %s is in no file either, and is left out", mark.Type))
			}
			return nil
		}
		one := part.Pools[mark.Type]
		if one == nil {
			return fmt.Errorf("the section %s has another pool", name)
		}
		p.Providers = append(p.Providers, one.Providers...)
	}
	if len(p.Providers) != mark.Providers {
		return fmt.Errorf("a pool has %d providers, and not %d", len(p.Providers), mark.Providers)
	}
	if mark.Revision != "" {
		if p.Revision, err = poolkeeper.ParseRevision(mark.Revision); err != nil {
			return err
		}
	}
	if mark.Structure != "" {
		if p.Structure, err = poolkeeper.ParseRevision(mark.Structure); err != nil {
			return err
		}
	}
	l.snap.AddPool(p)
	return nil
}
