package filestore

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// common is the section of what is in no other.
type common struct {
	Meta       map[string]string `json:"meta"`
	Types      []string          `json:"types"`
	Aliases    []aliasLine       `json:"aliases,omitempty"`
	Revisions  []revisionLine    `json:"revisions,omitempty"`
	Structures map[string]string `json:"structures,omitempty"`
	// CountedFrom is the number of the first idempotency key that is remembered.
	CountedFrom uint64 `json:"countedFrom,omitempty"`
	SweepAt     int    `json:"sweepAt,omitempty"`
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
	c := common{Meta: image.Meta, Types: image.Types, Structures: map[string]string{}, SweepAt: image.SweepAt, CountedFrom: image.Counted.From}
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
	out.counted = encodeCounted(&image.Counted, before, add)

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
	// counted :: number of the first record of a chunk → its section
	counted map[uint64]string
}

func (s *sections) list() []string {
	names := []string{s.common}
	for _, n := range s.pools {
		names = append(names, n)
	}
	for _, n := range s.counted {
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
