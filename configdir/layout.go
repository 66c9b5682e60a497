package configdir

import (
	"bytes"
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/show"
)

// A layout is what a directory holds that is made of a snapshot: the pools, and
// the bytes of every other file.
type layout struct {
	types    []string
	pools    map[string]*poolkeeper.Pool
	files    map[string]File // by path; provider_pools.json is not among them
	sessions map[string]session
	report   *Report
	lenient  bool
}

// A File is one file of a directory.
type File struct {
	Key  poolkeeper.Key // what of the snapshot it is
	Data []byte
}

// Files lays out what a directory of the snapshot holds, by path, as
// [WriteDir] would write it; provider_pools.json has the key of the pools. dir is
// where it lies, which may be empty. Unlike WriteDir it goes on where something
// cannot be a file, or two things want one path: the one that comes second is
// left out, and noted with [CodeUnwritten].
func Files(snap *poolkeeper.Snapshot, dir string, now time.Time) (map[string]File, *Report, error) {
	l, err := layOut(snap, prefixesOf(dir), now.UnixMilli(), false, true)
	if err != nil {
		return nil, nil, err
	}
	pools, err := l.poolsDocument()
	if err != nil {
		return nil, nil, err
	}
	l.files[poolsFile] = File{poolkeeper.PoolsKey, pools}
	l.report.Steps = l.steps(prefixesOf(dir))
	return l.files, l.report, nil
}

// refuse refuses one value, or leaves it out where that is enough.
func (l *layout) refuse(p string, err error) error {
	if l.lenient {
		l.report.note(p, "", CodeUnwritten, "%v", err)
		return nil
	}
	return err
}

// layOut plans a directory. It fails where two things want one path, or where
// something has a name that no file can have, unless it is lenient. With external, a token that has
// only paths outside of the parent of the directory is laid out there; without,
// it gets a place in it.
func layOut(snap *poolkeeper.Snapshot, x prefixes, now int64, external, lenient bool) (*layout, error) {
	l := &layout{
		lenient:  lenient,
		types:    slices.Clone(snap.Types),
		pools:    maps.Clone(snap.Pools),
		files:    make(map[string]File, len(snap.Values)),
		sessions: liveSessions(snap, now),
		report:   &Report{},
	}
	if l.pools == nil {
		l.pools = map[string]*poolkeeper.Pool{}
	}
	for _, t := range slices.Sorted(maps.Keys(snap.Pools)) {
		if !slices.Contains(l.types, t) {
			l.types = append(l.types, t)
		}
	}
	for _, t := range l.types {
		if l.pools[t] == nil {
			l.pools[t] = &poolkeeper.Pool{Type: t}
		}
	}
	l.report.Types = len(l.types)
	for _, p := range l.pools {
		l.report.Providers += len(p.Providers)
	}
	if err := l.layValues(snap, now); err != nil {
		return nil, err
	}
	p := placer{layout: l, snap: snap, prefixes: x, external: external}
	if err := p.tokens(); err != nil {
		return nil, err
	}
	if err := l.layCarried(snap); err != nil {
		return nil, err
	}
	slices.SortStableFunc(l.report.Warnings, func(a, b Note) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Where, b.Where)) })
	return l, l.nested()
}

// layValues lays out what has one place: config.json, pwd and the documents.
func (l *layout) layValues(snap *poolkeeper.Snapshot, now int64) error {
	for k, p := range map[poolkeeper.Key]string{poolkeeper.ConfigKey: configFile, poolkeeper.PasswordKey: passwordFile} {
		if d, ok := snap.Values[k]; ok {
			l.files[p] = File{k, d.Data}
		}
	}
	_, l.report.Config = l.files[configFile]
	_, l.report.Password = l.files[passwordFile]
	for _, k := range snap.KeysOf(poolkeeper.KindDocument) {
		p := Name + "/" + k.Name
		// What is no document by its file name becomes one to carry.
		if !isDocument(k.Name) && (path.Dir(p) != Name || poolkeeper.ValidatePath(p) != nil || isReserved(p) || isTransient(p) || p == tempDir) {
			if err := l.refuse(p, poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrInvalid, "a document of that name cannot be a file of the directory"), "write", k.String())); err != nil {
				return err
			}
			continue
		}
		l.files[p] = File{k, snap.Values[k].Data}
		l.report.Documents++
	}
	return l.layTokenStore(now)
}

func (l *layout) layTokenStore(now int64) error {
	const p = Name + "/" + TokenStore
	doc, exists := l.files[p]
	data, there, replaced := composeTokenStore(doc.Data, exists, l.sessions, now)
	if replaced {
		l.report.note(p, "", CodeReplaced, "the stored document is damaged; one with the live sessions takes its place")
	}
	if there {
		if !exists {
			l.report.Documents++
		}
		l.files[p] = File{poolkeeper.DocumentKey(TokenStore), data}
	}
	l.report.Sessions = len(l.sessions)
	l.report.SessionEntries = readTokenStore(data, now).entries
	return nil
}

// layCarried lays out the carried files. A token of the same path is what the
// file has become since it was carried.
func (l *layout) layCarried(snap *poolkeeper.Snapshot) error {
	for _, k := range snap.KeysOf(poolkeeper.KindFile) {
		if err := k.Validate(); err != nil {
			if err := l.refuse(k.Name, poolkeeper.Annotate(err, "write", k.String())); err != nil {
				return err
			}
			continue
		}
		other, taken := l.files[k.Name]
		if taken && other.Key.Kind == poolkeeper.KindToken {
			if !bytes.Equal(other.Data, snap.Values[k].Data) {
				l.report.note(k.Name, "", CodeShadowed, "the carried file gives way to the %s of the same path", show.Clip(other.Key.String()))
			}
			continue
		}
		if taken || isReserved(k.Name) {
			what := "what the directory has there"
			if taken {
				what = other.Key.String()
			}
			if err := l.refuse(k.Name, poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrExists, "%s has the same path", show.Clip(what)).
				WithHint("delete one of the two"), "write", show.Clip(k.String()))); err != nil {
				return err
			}
			continue
		}
		l.files[k.Name] = File{k, snap.Values[k].Data}
		l.report.Files++
	}
	return nil
}

// nested refuses a file that would be a directory for another one.
func (l *layout) nested() error {
	for p, f := range l.files {
		if isExternal(p) {
			continue
		}
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if other, taken := l.files[dir]; taken || dir == poolsFile {
				what := poolsFile
				if taken {
					what = other.Key.String()
				}
				if err := l.refuse(p, poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrExists, "%s is a file where it needs a directory", show.Clip(what)).
					WithHint("delete or rename one of the two"), "write", show.Clip(f.Key.String()))); err != nil {
					return err
				}
				delete(l.files, p)
				break
			}
		}
		if p == Name || p == poolsFile {
			if err := l.refuse(p, poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrExists, "the path %s is taken", show.Name(p)), "write", show.Clip(f.Key.String()))); err != nil {
				return err
			}
			delete(l.files, p)
		}
	}
	return nil
}

// isFilePath reports whether a path can be that of a token file.
func isFilePath(p string) bool {
	return poolkeeper.ValidatePath(p) == nil && p != Name && !isReserved(p) && !strings.HasSuffix(p, "/")
}
