package filestore

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/show"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A merger finds the ops by which the edits of others become part of the state:
// base is what both sides began with.
type merger struct {
	s      *Store
	base   *base
	theirs *theirs
	ours   *memstore.Image
	edited map[string]bool
	start  *replayed // of a start; else nil

	files map[string]configdir.File // ours
	alts  []map[string]configdir.File
	ops   []poolkeeper.Op
	notes []string
	// rewrite says that provider_pools.json has something that does not count.
	rewrite bool
}

func (m *merger) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

func (m *merger) run() (err error) {
	if m.files, _, err = configdir.Files(m.ours.Snapshot, m.s.dir, m.s.now()); err != nil {
		return err
	}
	if m.start != nil {
		for _, alt := range m.start.alts {
			files, _, err := configdir.Files(alt.Snapshot, m.s.dir, m.s.now())
			if err != nil {
				return err
			}
			m.alts = append(m.alts, files)
		}
	}
	m.keepMissing()
	// Tokens and files come before the definitions that refer to them.
	paths := slices.Sorted(maps.Keys(m.edited))
	for _, p := range paths {
		if p != poolsPath {
			if err := m.file(p); err != nil {
				return err
			}
		}
	}
	if m.edited[poolsPath] {
		return m.pools()
	}
	return nil
}

// keepMissing puts back what nobody removes on purpose while the gateway is to
// go on: provider_pools.json and config.json, without which it would start with
// nothing and a default key; and everything, where everything is gone, as it is
// where a volume is not mounted.
func (m *merger) keepMissing() {
	all := len(m.theirs.files) == 0
	for p := range m.edited {
		if _, there := m.theirs.files[p]; there || !all && p != poolsPath && p != configdir.Name+"/config.json" {
			continue
		}
		delete(m.edited, p)
		delete(m.base.files, p)
		if p == poolsPath {
			m.base.pools, m.base.rendered = "", ""
		}
		m.s.stale = true
		if !all {
			m.note("%s was removed by another program: it is written again", p)
		}
	}
	if all && len(m.base.files) == 0 {
		m.note("all files of the directory were gone: they are written again")
	}
}

// file merges an edit of one file that is not provider_pools.json.
func (m *merger) file(p string) error {
	given, there := m.theirs.files[p]
	before, had := m.base.files[p]
	now, have := m.files[p]
	key := m.keyOf(p, given.Key)
	if path.Base(p) == configdir.TokenStore && path.Dir(p) == configdir.Name {
		m.sessions(before.Data)
		if have && there && bytes.Equal(m.ours.Values[key].Data, m.base.image.Values[key].Data) {
			now = before // all that differs are sessions, and those are merged
		}
	}
	switch {
	case !there && !have:
	case !there:
		if !bytes.Equal(now.Data, before.Data) {
			m.note("%s was removed by another program, and had changed here: it is removed", show.Clip(p))
		}
		m.remove(key, p)
	case have && bytes.Equal(now.Data, given.Data):
	case !have && had:
		m.note("%s was changed by another program, and removed here: it is kept as it was changed", show.Clip(p))
		m.put(key, p, given.Data)
	case !have:
		m.put(key, p, given.Data)
	case bytes.Equal(now.Data, before.Data) && had:
		m.put(key, p, given.Data)
	default:
		m.put(key, p, m.both(p, before.Data, given.Data, now.Data))
	}
	return nil
}

// keyOf finds what of the state a file is: what it is here, else what it would
// be in a directory that is read anew.
func (m *merger) keyOf(p string, theirs poolkeeper.Key) poolkeeper.Key {
	if f, ok := m.files[p]; ok {
		return f.Key
	}
	if f, ok := m.base.files[p]; ok && f.Key.Kind != "" {
		return f.Key
	}
	return theirs
}

// put gives a key the bytes of a file, and a new token its path.
func (m *merger) put(key poolkeeper.Key, p string, data []byte) {
	if key.Kind == poolkeeper.KindToken {
		if id, ok := m.ours.Renamed[poolkeeper.Ref{Type: key.Type, ID: key.Name}]; ok {
			key.Name = id.ID
		}
		for k, d := range m.theirs.snap.Values {
			owner, err := poolkeeper.DecodeTokenOwner(d.Data)
			if k.Kind != poolkeeper.KindTokenRefs || err != nil || k.Name != p && poolkeeper.TokenKey(owner) != m.theirs.files[p].Key {
				continue
			}
			if _, have := m.ours.Values[k]; !have {
				m.ops = append(m.ops, poolkeeper.Op{Kind: poolkeeper.OpPut, Key: k, Data: poolkeeper.EncodeTokenOwner(poolkeeper.Ref{Type: key.Type, ID: key.Name})})
			}
		}
	}
	if d, have := m.ours.Values[key]; have && bytes.Equal(d.Data, data) {
		return
	}
	m.ops = append(m.ops, poolkeeper.Op{Kind: poolkeeper.OpPut, Key: key, Data: data})
}

func (m *merger) remove(key poolkeeper.Key, p string) {
	if _, have := m.ours.Values[key]; !have {
		return
	}
	if key.Kind == poolkeeper.KindToken {
		// It may lie at other paths as well.
		for other, f := range m.theirs.files {
			if f.Key == key && other != p {
				return
			}
		}
	}
	m.ops = append(m.ops, poolkeeper.Op{Kind: poolkeeper.OpDelete, Key: key})
}

// both merges a file that both sides changed: field by field where it is a JSON
// object on all sides, else the file wins.
func (m *merger) both(p string, before, given, now []byte) []byte {
	befores := [][]byte{before}
	for _, files := range m.alts {
		befores = append(befores, files[p].Data)
	}
	if merged, lost, ok := mergeObjects(befores, given, now); ok {
		if len(lost) > 0 {
			m.note("%s was changed by another program and here in the same fields: those of the file count, ours of %s are gone", show.Clip(p), fieldList(lost))
		}
		return merged
	}
	m.note("%s was changed by another program and here: the file counts, ours is gone", show.Clip(p))
	return given
}

// mergeObjects applies what changed from before to given on top of now, member
// by member. lost are the members that now had changed as well. ok is false
// where one of the three is no object. What came before was the first of befores;
// given may have begun with another of them.
func mergeObjects(befores [][]byte, given, now []byte) (merged []byte, lost []string, ok bool) {
	b, ok1 := members(befores[0])
	g, ok2 := members(given)
	n, ok3 := members(now)
	if !ok1 || !ok2 || !ok3 {
		return nil, nil, false
	}
	var others []object
	for _, data := range befores[1:] {
		if o, ok := members(data); ok {
			others = append(others, o)
		}
	}
	kept := func(name string) bool {
		for _, o := range others {
			if equalTokens(g.value[name], o.value[name]) {
				return true
			}
		}
		return equalTokens(g.value[name], b.value[name])
	}
	var edits []rawjson.Edit
	change := func(name string, value []byte) {
		if !equalTokens(n.value[name], b.value[name]) {
			lost = append(lost, name)
		}
		edits = append(edits, rawjson.Edit{Key: name, Value: value})
	}
	for _, name := range g.order {
		if !kept(name) && !equalTokens(g.value[name], n.value[name]) {
			change(name, g.value[name])
		}
	}
	for _, name := range b.order {
		if g.value[name] == nil && n.value[name] != nil && !kept(name) {
			change(name, nil)
		}
	}
	merged, err := rawjson.SetMany(now, edits)
	return merged, lost, err == nil
}

// An object is the members of a JSON object, the last of those with one name.
type object struct {
	order []string
	value map[string][]byte
}

func members(data []byte) (object, bool) {
	o := object{value: map[string][]byte{}}
	if bare, had := rawjson.StripBOM(data); had || rawjson.Valid(bare) != nil || rawjson.KindOf(data) != rawjson.KindObject {
		return o, false
	}
	err := rawjson.Object(data, func(key, value []byte) error {
		name, ok := rawjson.Unquote(key)
		if !ok {
			return poolkeeper.ErrInvalid
		}
		if o.value[name] == nil {
			o.order = append(o.order, name)
		}
		o.value[name] = value
		return nil
	})
	return o, err == nil
}

// equalTokens compares two members, of which either may be missing.
func equalTokens(a, b []byte) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return bytes.Equal(a, b) || rawjson.EqualTokens(a, b)
}

// sessions merges the sessions of token-store.json one by one.
func (m *merger) sessions(before []byte) {
	old := poolkeeper.NewSnapshot()
	for k, d := range configdir.Sessions(before, m.s.now()) {
		old.Values[k] = d
	}
	for _, k := range m.theirs.snap.KeysOf(poolkeeper.KindSession) {
		d, b := m.theirs.snap.Values[k], old.Values[k]
		if now, have := m.ours.Values[k]; !bytes.Equal(d.Data, b.Data) && !(have && bytes.Equal(now.Data, d.Data)) {
			m.ops = append(m.ops, poolkeeper.Op{Kind: poolkeeper.OpPut, Key: k, Data: d.Data, ExpiresAt: d.ExpiresAt})
		}
	}
	for k := range old.Values {
		if _, there := m.theirs.snap.Values[k]; there {
			continue
		}
		if d, have := m.ours.Values[k]; have && (d.ExpiresAt == 0 || time.UnixMilli(d.ExpiresAt).After(m.s.now())) {
			m.ops = append(m.ops, poolkeeper.Op{Kind: poolkeeper.OpDelete, Key: k})
		}
	}
}

// fieldList names fields for people, as many as fit.
func fieldList(names []string) string {
	const most = 5
	text := ""
	for i, n := range names {
		if i == most {
			return text + ", …"
		}
		if i > 0 {
			text += ", "
		}
		text += show.Clip(show.Name(n))
	}
	return text
}
