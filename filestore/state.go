package filestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io/fs"
	"math"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// The files of the state directory, beside the journal.
const (
	manifestFile  = "checkpoint.json"
	intentFile    = "intent.json"
	sectionPrefix = "state-"
	formatVersion = 1
)

// A manifest is the record of a checkpoint: the state at a record of the
// journal, in sections, and what the files were that go with it.
type manifest struct {
	Version int    `json:"version"`
	Dir     string `json:"dir"` // the directory that it belongs to
	Seq     uint64 `json:"seq"`
	At      int64  `json:"at"` // by which sessions had expired
	// Pools is the hash of provider_pools.json as it lies there, and Rendered
	// that of what the state makes of it: the same once it was written.
	Pools    string `json:"pools"`
	Rendered string `json:"rendered"`
	// Unwritten are the paths that no file could be made of.
	Unwritten []string `json:"unwritten,omitempty"`
	// Sections are the names of the files that hold the state.
	Sections []string `json:"sections"`
	Notes    []Note   `json:"notes,omitempty"`
}

// An intent says which bytes a checkpoint is about to give to files, by their
// hash; an empty one is a file that goes. It also has what earlier checkpoints
// were about to write that did not come to their end.
type intent struct {
	Seq uint64 `json:"seq"`
	// Seqs are the records at which the earlier ones were that have written
	// something.
	Seqs  []uint64            `json:"seqs,omitempty"`
	Files map[string][]string `json:"files"`
	// Restore says that the files are those of a Restore.
	Restore bool `json:"restore,omitempty"`
}

// add adds a hash to those that a file may have.
func (in *intent) add(path, hash string) {
	if !slices.Contains(in.Files[path], hash) {
		in.Files[path] = append(in.Files[path], hash)
	}
}

// hashOf identifies the bytes of a file. No bytes at all are no file.
func hashOf(data []byte) string {
	if data == nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// common is the section of what is in no other.
type common struct {
	Meta       map[string]string `json:"meta"`
	Types      []string          `json:"types"`
	Aliases    []aliasLine       `json:"aliases,omitempty"`
	Revisions  []revisionLine    `json:"revisions,omitempty"`
	Structures map[string]string `json:"structures,omitempty"`
	// Counted is what the idempotency keys of the last day stand for.
	Counted []memstore.Counted `json:"counted,omitempty"`
	SweepAt int                `json:"sweepAt,omitempty"`
}

type aliasLine struct {
	poolkeeper.Ref
	To   string `json:"to"`
	Ends int64  `json:"ends"`
}

type revisionLine struct {
	Key      poolkeeper.Key `json:"key"`
	Revision string         `json:"revision"`
}

// A line is one value, or one pool, of the other sections.
type line struct {
	Op       json.RawMessage `json:"op"`
	Revision string          `json:"revision"`
}

// shards is into how many sections the values go, so that one that changes does
// not have all of them written.
const shards = 16

func shardOf(key poolkeeper.Key) int {
	h := fnv.New32a()
	h.Write([]byte(string(key.Kind) + "\x00" + key.Type + "\x00" + key.Name))
	return int(h.Sum32() % shards)
}

// encodeImage makes the sections of an image. Where before is not nil, those of
// what has not changed since are taken from there.
func encodeImage(image *memstore.Image, before *base) (map[string][]byte, *sections, error) {
	out := &sections{pools: map[string]string{}}
	fresh := map[string][]byte{}
	add := func(data []byte) string {
		name := sectionPrefix + hashOf(data)[:32]
		fresh[name] = data
		return name
	}
	c := common{Meta: image.Meta, Types: image.Types, Structures: map[string]string{}, SweepAt: image.SweepAt, Counted: image.Counted}
	for ref, a := range image.Renamed {
		c.Aliases = append(c.Aliases, aliasLine{ref, a.ID, a.Ends})
	}
	slices.SortFunc(c.Aliases, func(a, b aliasLine) int {
		return strings.Compare(a.Type+"\x00"+a.Ref.ID, b.Type+"\x00"+b.Ref.ID)
	})
	for k, r := range image.Revisions {
		if d, ok := image.Values[k]; ok && d.Revision == r {
			continue // it stands with the value
		}
		c.Revisions = append(c.Revisions, revisionLine{k, r.String()})
	}
	slices.SortFunc(c.Revisions, func(a, b revisionLine) int { return poolkeeper.CompareKeys(a.Key, b.Key) })
	for typ, r := range image.Structures {
		c.Structures[typ] = r.String()
	}
	data, err := json.Marshal(&c)
	if err != nil {
		return nil, nil, err
	}
	out.common = add(data)

	for _, typ := range image.Types {
		p := image.Pools[typ]
		if before != nil && before.sections != nil {
			if old := before.image.Pools[typ]; old != nil && old.Revision == p.Revision && before.sections.pools[typ] != "" {
				out.pools[typ] = before.sections.pools[typ]
				continue
			}
		}
		op := poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey(typ)}
		for i := range p.Providers {
			from := &p.Providers[i]
			op.Providers = append(op.Providers, poolkeeper.ProviderRecord{ID: from.ID, Definition: from.Definition, State: &from.State})
		}
		data, err := appendLine(nil, &op, p.Revision)
		if err != nil {
			return nil, nil, err
		}
		out.pools[typ] = add(data)
	}
	return fresh, out, encodeValues(image, before, out, add)
}

func encodeValues(image *memstore.Image, before *base, out *sections, add func([]byte) string) error {
	var keys [shards][]poolkeeper.Key
	var stale [shards]bool
	for k, d := range image.Values {
		i := shardOf(k)
		keys[i] = append(keys[i], k)
		if before != nil && before.sections != nil {
			old, there := before.image.Values[k]
			stale[i] = stale[i] || !there || old.Revision != d.Revision || old.ExpiresAt != d.ExpiresAt || !bytes.Equal(old.Data, d.Data)
		}
	}
	var was [shards]int
	if before != nil && before.sections != nil {
		for k := range before.image.Values {
			was[shardOf(k)]++
		}
	}
	for i := range keys {
		if before != nil && before.sections != nil && !stale[i] && was[i] == len(keys[i]) {
			out.values[i] = before.sections.values[i]
			continue
		}
		slices.SortFunc(keys[i], poolkeeper.CompareKeys)
		var data []byte
		var err error
		for _, k := range keys[i] {
			d := image.Values[k]
			op := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: k, Data: d.Data, ExpiresAt: d.ExpiresAt}
			if data, err = appendLine(data, &op, d.Revision); err != nil {
				return err
			}
		}
		if len(keys[i]) > 0 {
			out.values[i] = add(data)
		}
	}
	return nil
}

func appendLine(b []byte, op *poolkeeper.Op, rev poolkeeper.Revision) ([]byte, error) {
	data, err := poolkeeper.EncodeOp(op)
	if err != nil {
		return nil, err
	}
	data, err = json.Marshal(line{data, rev.String()})
	return append(append(b, data...), '\n'), err
}

// sections are the names of the files that hold the state.
type sections struct {
	common string
	pools  map[string]string
	values [shards]string
}

func (s *sections) list() []string {
	names := []string{s.common}
	for _, n := range s.pools {
		names = append(names, n)
	}
	for _, n := range s.values {
		if n != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names[1:])
	return slices.Compact(names)
}

// readState reads the last checkpoint; nil where there is none.
func readState(fsys vfs.FS) (*manifest, *memstore.Image, error) {
	data, err := readWhole(fsys, manifestFile)
	if err != nil || data == nil {
		return nil, nil, err
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil || len(m.Sections) == 0 {
		return nil, nil, damaged(manifestFile, "it is not the record of a checkpoint")
	}
	if m.Version != formatVersion {
		return nil, nil, poolkeeper.Errorf(poolkeeper.ErrForeign, "%s has version %d, and this program knows %d", manifestFile, m.Version, formatVersion).
			WithHint("use a newer version of the program")
	}
	image := &memstore.Image{Snapshot: poolkeeper.NewSnapshot(), Renamed: map[poolkeeper.Ref]memstore.Alias{},
		Revisions: map[poolkeeper.Key]poolkeeper.Revision{}, Structures: map[string]poolkeeper.Revision{}}
	for i, name := range m.Sections {
		data, err := readWhole(fsys, name)
		switch {
		case err != nil:
			return nil, nil, err
		case data == nil:
			return nil, nil, damaged(name, "it is missing")
		case sectionPrefix+hashOf(data)[:32] != name:
			return nil, nil, damaged(name, "its content is not what its name says")
		case i == 0:
			err = decodeCommon(image, data)
		default:
			err = decodeLines(image, data)
		}
		if err != nil {
			return nil, nil, damaged(name, err.Error())
		}
	}
	return &m, image, nil
}

func damaged(file, reason string) error {
	return poolkeeper.Errorf(poolkeeper.ErrDamaged, "%s of the state directory: %s", file, reason).
		WithHint("put the file back; or move the state directory away, and start from what the files of the gateway hold")
}

func decodeCommon(image *memstore.Image, data []byte) (err error) {
	var c common
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	image.Meta, image.Types, image.SweepAt, image.Counted = c.Meta, c.Types, c.SweepAt, c.Counted
	for _, a := range c.Aliases {
		image.Renamed[a.Ref] = memstore.Alias{ID: a.To, Ends: a.Ends}
	}
	for _, r := range c.Revisions {
		if image.Revisions[r.Key], err = poolkeeper.ParseRevision(r.Revision); err != nil {
			return err
		}
	}
	for typ, text := range c.Structures {
		if image.Structures[typ], err = poolkeeper.ParseRevision(text); err != nil {
			return err
		}
	}
	return nil
}

func decodeLines(image *memstore.Image, data []byte) error {
	for text := range bytes.Lines(data) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return err
		}
		op, err := poolkeeper.DecodeOp(l.Op)
		if err != nil {
			return err
		}
		rev, err := poolkeeper.ParseRevision(l.Revision)
		if err != nil {
			return err
		}
		if op.Kind != poolkeeper.OpReplacePool {
			if op.Data == nil {
				op.Data = []byte{}
			}
			image.Values[op.Key] = poolkeeper.Document{Data: op.Data, Revision: rev, ExpiresAt: op.ExpiresAt}
			if _, ok := image.Revisions[op.Key]; !ok && op.Key.Kind != poolkeeper.KindFile && op.Key.Kind != poolkeeper.KindTokenRefs {
				image.Revisions[op.Key] = rev
			}
			continue
		}
		p := &poolkeeper.Pool{Type: op.Key.Type, Revision: rev, Structure: image.Structures[op.Key.Type]}
		for _, r := range op.Providers {
			one := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: op.Key.Type, ID: r.ID}, Definition: r.Definition}
			if r.State != nil {
				one.State = *r.State
			}
			p.Providers = append(p.Providers, one)
		}
		image.Pools[p.Type] = p
	}
	return nil
}

// writeState makes a checkpoint the last one.
func writeState(fsys vfs.FS, m *manifest, fresh map[string][]byte) error {
	for name, data := range fresh {
		if _, err := fsys.Stat(name); err == nil {
			continue // it has that content, by its name; a torn one has another name
		}
		if err := vfs.Replace(fsys, name, data, 0o600); err != nil {
			return err
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := fsys.SyncDir("."); err != nil {
		return err
	}
	return vfs.WriteFile(fsys, manifestFile, data, 0o600)
}

// tidy removes sections that no checkpoint names, and what a crash has left.
func tidy(fsys vfs.FS, names []string) {
	entries, err := fsys.ReadDir(".")
	if err != nil {
		return // another time
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), sectionPrefix) && !slices.Contains(names, e.Name()) || strings.HasPrefix(e.Name(), vfs.TempPrefix) {
			fsys.Remove(e.Name()) // what stays is harmless
		}
	}
}

// readWhole reads a file; nil where there is none.
func readWhole(fsys vfs.FS, name string) ([]byte, error) {
	data, err := vfs.ReadFile(fsys, name, math.MaxInt64-1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}

func readIntent(fsys vfs.FS) (*intent, error) {
	data, err := readWhole(fsys, intentFile)
	if err != nil || data == nil {
		return nil, err
	}
	var in intent
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, damaged(intentFile, "it cannot be read")
	}
	return &in, nil
}

func writeIntent(fsys vfs.FS, in *intent) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return vfs.WriteFile(fsys, intentFile, data, 0o600)
}
