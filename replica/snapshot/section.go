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
	var shards [valueShards]map[poolkeeper.Key]poolkeeper.Document
	var stale [valueShards]bool
	for k, d := range snap.Values {
		if k.Kind == poolkeeper.KindFile {
			continue
		}
		i := shardOf(string(k.Kind)+"\x00"+k.Type+"\x00"+k.Name, valueShards)
		if shards[i] == nil {
			shards[i] = map[poolkeeper.Key]poolkeeper.Document{}
		}
		shards[i][k] = d
		if e.before != nil {
			old, ok := e.before.Values[k]
			stale[i] = stale[i] || !ok || old.Revision != d.Revision || old.ExpiresAt != d.ExpiresAt || !bytes.Equal(old.Data, d.Data)
		}
	}
	var was [valueShards]int
	if e.before != nil {
		for k := range e.before.Values {
			if k.Kind != poolkeeper.KindFile {
				was[shardOf(string(k.Kind)+"\x00"+k.Type+"\x00"+k.Name, valueShards)]++
			}
		}
	}
	names := make([]string, valueShards)
	for i, shard := range shards {
		switch {
		case len(shard) == 0:
		case e.before != nil && !stale[i] && was[i] == len(shard):
			names[i] = e.was.Values[i]
		default:
			names[i] = e.section(&poolkeeper.Snapshot{Values: shard})
		}
	}
	return names
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

// paths encodes what is under gateway/.
func (e *encoder) paths(files map[string]left) ([]string, error) {
	var shards [pathShards]map[string]left
	for p, f := range files {
		i := shardOf(p, pathShards)
		if shards[i] == nil {
			shards[i] = map[string]left{}
		}
		shards[i][p] = f
	}
	names := make([]string, pathShards)
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
