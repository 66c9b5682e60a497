package snapshot

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// Parts are small, so that one that changes has little written again, and that
// several can be read at a time.
const (
	poolPart    = 500 // providers
	valueShards = 16
	pathShards  = 16
)

// An encoder makes the sections of a snapshot. Those of what is as it was in the one
// before are taken from there.
type encoder struct {
	before *poolkeeper.Snapshot // nil where it is not in memory
	was    *Manifest
	fresh  map[string][]byte
	counts *Counts
}

func (e *encoder) section(snap *poolkeeper.Snapshot) string {
	e.counts.Encoded++
	return e.add(statePrefix, encodeSection(snap))
}

func (e *encoder) add(prefix string, data []byte) string {
	name := sectionName(prefix, data)
	e.fresh[name] = data
	return name
}

// encode makes the manifest of a snapshot, but for what it says of files.
func (e *encoder) encode(snap *poolkeeper.Snapshot) *Manifest {
	m := &Manifest{Version: formatVersion, Epoch: snap.Meta["epoch"]}
	m.Providers, m.Tokens, m.Documents, m.Files, m.Sessions = snap.Counts()
	m.Common = e.section(&poolkeeper.Snapshot{Meta: snap.Meta, Aliases: snap.Aliases})
	for _, typ := range snap.Types {
		p := snap.Pools[typ]
		if p == nil {
			p = &poolkeeper.Pool{Type: typ}
		}
		m.Pools = append(m.Pools, e.pool(p))
	}
	m.Values = e.values(snap)
	return m
}

// pool encodes a pool in parts.
func (e *encoder) pool(p *poolkeeper.Pool) PoolMark {
	mark := PoolMark{Type: p.Type, Providers: len(p.Providers), Sections: []string{}}
	if !p.Revision.IsZero() {
		mark.Revision = p.Revision.String()
	}
	if !p.Structure.IsZero() {
		mark.Structure = p.Structure.String()
	}
	var old *poolkeeper.Pool
	var names []string
	if e.before != nil {
		old = e.before.Pools[p.Type]
		for i := range e.was.Pools {
			if e.was.Pools[i].Type == p.Type {
				names = e.was.Pools[i].Sections
			}
		}
	}
	for part := range slices.Chunk(p.Providers, poolPart) {
		n := len(mark.Sections)
		if old != nil && n < len(names) && sameProviders(part, old.Providers[min(n*poolPart, len(old.Providers)):min((n+1)*poolPart, len(old.Providers))]) {
			mark.Sections = append(mark.Sections, names[n])
			continue
		}
		// The revision stands in the manifest: it changes with each part.
		one := poolkeeper.NewSnapshot()
		one.AddPool(&poolkeeper.Pool{Type: p.Type, Providers: part})
		mark.Sections = append(mark.Sections, e.section(one))
	}
	return mark
}

func sameProviders(a, b []poolkeeper.Provider) bool {
	return slices.EqualFunc(a, b, func(x, y poolkeeper.Provider) bool {
		return x.State == y.State && x.ID == y.ID && bytes.Equal(x.Definition, y.Definition)
	})
}

// values encodes the values, but for the carried files, which are under gateway/.
func (e *encoder) values(snap *poolkeeper.Snapshot) []string {
	var count, was [valueShards]int
	var stale [valueShards]bool
	for k, d := range snap.Values {
		if k.Kind == poolkeeper.KindFile {
			continue
		}
		i := valueShard(k)
		count[i]++
		if e.before != nil {
			old, ok := e.before.Values[k]
			stale[i] = stale[i] || !ok || old.Revision != d.Revision || old.ExpiresAt != d.ExpiresAt || !bytes.Equal(old.Data, d.Data)
		}
	}
	if e.before != nil {
		for k := range e.before.Values {
			if k.Kind != poolkeeper.KindFile {
				was[valueShard(k)]++
			}
		}
	}
	names := make([]string, valueShards)
	var shards [valueShards]map[poolkeeper.Key]poolkeeper.Document
	for i := range names {
		if e.before != nil && !stale[i] && was[i] == count[i] {
			names[i] = e.was.Values[i]
		} else {
			shards[i] = make(map[poolkeeper.Key]poolkeeper.Document, count[i])
		}
	}
	for k, d := range snap.Values {
		if k.Kind == poolkeeper.KindFile {
			continue
		}
		if shard := shards[valueShard(k)]; shard != nil {
			shard[k] = d
		}
	}
	for i, shard := range shards {
		if len(shard) > 0 {
			names[i] = e.section(&poolkeeper.Snapshot{Values: shard})
		}
	}
	return names
}

func valueShard(k poolkeeper.Key) int {
	return shardOf(string(k.Kind)+"\x00"+k.Type+"\x00"+k.Name, valueShards)
}

func shardOf(text string, n uint32) int {
	h := fnv.New32a()
	h.Write([]byte(text))
	return int(h.Sum32() % n)
}

// A left is a file under gateway/ as it was left there.
type left struct {
	Hash string `json:"hash"`
	Size int64  `json:"size"`
	// Carried says that it is a carried file, which stands in no section.
	Carried bool `json:"carried,omitempty"`

	data []byte // that of the snapshot, where it has it
}

// paths encodes what is under gateway/. before is what was there.
func (e *encoder) paths(files, before map[string]left) ([]string, error) {
	var stale [pathShards]bool
	for p, f := range files {
		old, ok := before[p]
		if !ok || old.Hash != f.Hash || old.Size != f.Size || old.Carried != f.Carried {
			stale[shardOf(p, pathShards)] = true
		}
	}
	for p := range before {
		if _, ok := files[p]; !ok {
			stale[shardOf(p, pathShards)] = true
		}
	}
	names := make([]string, pathShards)
	var shards [pathShards]map[string]left
	for i := range names {
		if e.was != nil && !stale[i] {
			names[i] = e.was.Paths[i]
		} else {
			shards[i] = map[string]left{}
		}
	}
	for p, f := range files {
		if shard := shards[shardOf(p, pathShards)]; shard != nil {
			shard[p] = f
		}
	}
	for i, shard := range shards {
		if len(shard) == 0 {
			continue
		}
		data, err := json.Marshal(shard)
		if err != nil {
			return nil, err
		}
		names[i] = e.add(filesPrefix, data)
	}
	return names, nil
}
