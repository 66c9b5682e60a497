package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// The content of a section: the magic, then records of a byte that says what it is,
// numbers (varints) and texts (a length, and the bytes). The last one says how many
// there are. Tens of thousands of providers are read at a start, which JSON is too slow
// for.
const magic = "snapshot 1\n"

const (
	recMeta     = 'm' // NAME TEXT
	recAlias    = 'a' // TYPE ID NEWID
	recPool     = 'p' // TYPE, of the providers that follow
	recProvider = 'd' // ID DEFINITION DECIDED N, then N × (FIELD LITERAL)
	recValue    = 'v' // KIND TYPE NAME NUMBER WRITER SEQ EXPIRES DATA
	recEnd      = 'z' // COUNT
)

// encodeSection encodes facts, old ids, providers and values. Of a pool the revisions
// and the place are not in it.
func encodeSection(s *poolkeeper.Snapshot) []byte {
	e := sectionWriter{b: make([]byte, 0, sizeOf(s))}
	e.b = append(e.b, magic...)
	for _, name := range slices.Sorted(maps.Keys(s.Meta)) {
		e.record(recMeta)
		e.text(name)
		e.text(s.Meta[name])
	}
	refs := slices.SortedFunc(maps.Keys(s.Aliases), func(a, b poolkeeper.Ref) int {
		return poolkeeper.CompareKeys(poolkeeper.ProviderKey(a), poolkeeper.ProviderKey(b))
	})
	for _, ref := range refs {
		e.record(recAlias)
		e.text(ref.Type)
		e.text(ref.ID)
		e.text(s.Aliases[ref])
	}
	for _, typ := range s.Types {
		e.record(recPool)
		e.text(typ)
		for i := range s.Pools[typ].Providers {
			e.provider(&s.Pools[typ].Providers[i])
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.Values), poolkeeper.CompareKeys) {
		d := s.Values[key]
		e.record(recValue)
		e.text(string(key.Kind))
		e.text(key.Type)
		e.text(key.Name)
		e.number(int64(d.Revision.Number))
		e.text(d.Revision.Writer)
		e.number(int64(d.Revision.Seq))
		e.number(d.ExpiresAt)
		e.text(string(d.Data))
	}
	n := e.n
	e.record(recEnd)
	e.number(n)
	return e.b
}

// sizeOf is about how long the section becomes.
func sizeOf(s *poolkeeper.Snapshot) int {
	n := 1 << 10
	for _, p := range s.Pools {
		for i := range p.Providers {
			n += len(p.Providers[i].Definition) + 300
		}
	}
	for _, d := range s.Values {
		n += len(d.Data) + 200
	}
	return n
}

type sectionWriter struct {
	b []byte
	n int64 // records
}

func (e *sectionWriter) record(kind byte) { e.b = append(e.b, kind); e.n++ }
func (e *sectionWriter) number(n int64)   { e.b = binary.AppendVarint(e.b, n) }
func (e *sectionWriter) text(s string)    { e.number(int64(len(s))); e.b = append(e.b, s...) }

func (e *sectionWriter) provider(p *poolkeeper.Provider) {
	e.record(recProvider)
	e.text(p.ID)
	e.text(string(p.Definition))
	e.number(p.State.DecidedAt)
	n := int64(0)
	for f := range poolkeeper.Field(poolkeeper.NumFields) {
		if _, ok := p.State.Get(f); ok {
			n++
		}
	}
	e.number(n)
	for f := range poolkeeper.Field(poolkeeper.NumFields) {
		if lit, ok := p.State.Get(f); ok {
			e.text(f.String())
			e.text(lit)
		}
	}
}

var errSection = errors.New("it is no section of a snapshot")

// decodeSection reads a section, to its end. What it returns is a copy.
func decodeSection(data []byte) (*poolkeeper.Snapshot, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, errSection
	}
	d := sectionReader{b: rest, snap: poolkeeper.NewSnapshot(), same: map[string]string{}}
	for n := int64(0); ; n++ {
		if len(d.b) == 0 {
			return nil, errSection
		}
		kind := d.b[0]
		d.b = d.b[1:]
		if kind == recEnd {
			if d.number() != n || d.bad || len(d.b) > 0 {
				return nil, errSection
			}
			return d.snap, nil
		}
		if d.take(kind); d.bad {
			return nil, errSection
		}
	}
}

type sectionReader struct {
	b    []byte
	bad  bool // it ends too early, or says what cannot be
	snap *poolkeeper.Snapshot
	pool *poolkeeper.Pool
	same map[string]string // one of each text of which there are many
}

func (d *sectionReader) number() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[size:]
	return n
}

// bytes returns a part of what is read, and no copy.
func (d *sectionReader) bytes() []byte {
	n := d.number()
	if n < 0 || n > int64(len(d.b)) {
		d.bad = true
		return nil
	}
	text := d.b[:n]
	d.b = d.b[n:]
	return text
}

func (d *sectionReader) text() string { return string(d.bytes()) }

// often reads a text of which there are many of the same.
func (d *sectionReader) often() string {
	b := d.bytes()
	if len(b) > 40 {
		return string(b)
	}
	s, ok := d.same[string(b)]
	if !ok && len(d.same) < 10_000 {
		s = string(b)
		d.same[s] = s
	} else if !ok {
		s = string(b)
	}
	return s
}

// data reads bytes that may be none, and are not nil.
func (d *sectionReader) data() []byte { return append([]byte{}, d.bytes()...) }

func (d *sectionReader) take(kind byte) {
	switch kind {
	case recMeta:
		name := d.text()
		d.snap.Meta[name] = d.text()
	case recAlias:
		ref := poolkeeper.Ref{Type: d.text(), ID: d.text()}
		d.snap.Aliases[ref] = d.text()
	case recPool:
		d.pool = &poolkeeper.Pool{Type: d.text()}
		d.snap.AddPool(d.pool)
	case recProvider:
		d.provider()
	case recValue:
		key := poolkeeper.Key{Kind: poolkeeper.KeyKind(d.often()), Type: d.often(), Name: d.text()}
		doc := poolkeeper.Document{Revision: poolkeeper.Revision{Number: uint64(d.number()), Writer: d.often(), Seq: uint64(d.number())}, ExpiresAt: d.number()}
		doc.Data = d.data()
		d.snap.Values[key] = doc
	default:
		d.bad = true
	}
}

func (d *sectionReader) provider() {
	if d.pool == nil {
		d.bad = true
		return
	}
	p := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: d.pool.Type, ID: d.text()}, Definition: d.data()}
	p.State.DecidedAt = d.number()
	for range min(d.number(), int64(len(d.b))) {
		f, ok := poolkeeper.FieldNamed(string(d.bytes()))
		lit := d.often()
		if d.bad = d.bad || !ok; d.bad {
			return
		}
		p.State.Set(f, lit)
	}
	d.pool.Providers = append(d.pool.Providers, p)
}
