package poolkeeper

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"unicode/utf8"
)

// SnapshotVersion is that of the form in which [EncodeSnapshot] writes.
const SnapshotVersion = 1

// A wireRecord is one line of an encoded snapshot. The first member that a line
// has says what it is; pointers tell the empty name from none.
type wireRecord struct {
	Snapshot int `json:"snapshot,omitempty"` // the version; the first line

	Meta *string `json:"meta,omitempty"` // a name, its text in Data

	Types []string `json:"types,omitempty"` // all of them, in their order

	Pool      *string `json:"pool,omitempty"` // a type; its providers follow
	Revision  string  `json:"revision,omitempty"`
	Structure string  `json:"structure,omitempty"`

	Provider   *string `json:"provider,omitempty"` // an id, of the pool before
	Definition []byte  `json:"definition,omitempty"`
	State      *State  `json:"state,omitempty"`

	Value     *Key   `json:"value,omitempty"` // with Data, Revision, ExpiresAt
	Data      []byte `json:"data,omitempty"`
	ExpiresAt int64  `json:"expiresAt,omitempty"`

	Alias *Ref   `json:"alias,omitempty"` // the old ref
	ID    string `json:"id,omitempty"`    // what it leads to

	End *int `json:"end,omitempty"` // how many lines stood between; the last line
}

// EncodeSnapshot writes a snapshot in its one encoding, lines of JSON; bytes are
// base64 in it. One line is made at a time. A nil snapshot is an empty one.
func EncodeSnapshot(w io.Writer, s *Snapshot) error {
	if s == nil {
		s = &Snapshot{}
	}
	e := &snapshotWriter{w: bufio.NewWriterSize(w, 64<<10)}
	e.enc = json.NewEncoder(e.w)
	e.enc.SetEscapeHTML(false)
	e.line(&wireRecord{Snapshot: SnapshotVersion})
	e.n = 0
	for _, name := range slices.Sorted(maps.Keys(s.Meta)) {
		e.line(&wireRecord{Meta: e.name(name), Data: []byte(s.Meta[name])})
	}
	for _, typ := range s.Types {
		e.name(typ)
	}
	if len(s.Types) > 0 {
		e.line(&wireRecord{Types: s.Types})
	}
	for _, typ := range slices.Sorted(maps.Keys(s.Pools)) {
		e.pool(typ, s.Pools[typ])
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.Values), CompareKeys) {
		d := s.Values[key]
		e.name(key.Type)
		e.name(key.Name)
		e.line(&wireRecord{Value: &key, Data: d.Data, Revision: revisionText(d.Revision), ExpiresAt: d.ExpiresAt})
	}
	for ref, id := range s.Aliases {
		e.name(ref.Type)
		e.name(ref.ID)
		e.line(&wireRecord{Alias: &ref, ID: *e.name(id)})
	}
	n := e.n
	e.line(&wireRecord{End: &n})
	if e.err != nil {
		return e.err
	}
	return e.w.Flush()
}

type snapshotWriter struct {
	w   *bufio.Writer
	enc *json.Encoder
	n   int   // lines after the first
	err error // the first one; nothing is written after it
}

func (e *snapshotWriter) line(r *wireRecord) {
	if e.err == nil {
		e.n++
		e.err = e.enc.Encode(r)
	}
}

// name lets a name pass that a string of JSON can hold: all are UTF-8, see the
// checks of keys and refs.
func (e *snapshotWriter) name(s string) *string {
	if e.err == nil && !utf8.ValidString(s) {
		e.err = Errorf(ErrInvalid, "snapshot: a name that is not valid UTF-8 cannot be encoded")
	}
	return &s
}

func (e *snapshotWriter) pool(typ string, p *Pool) {
	if p == nil {
		return
	}
	e.line(&wireRecord{Pool: e.name(typ), Revision: revisionText(p.Revision), Structure: revisionText(p.Structure)})
	for i := range p.Providers {
		one := &p.Providers[i]
		r := &wireRecord{Provider: e.name(one.ID), Definition: one.Definition}
		if !one.State.IsZero() {
			r.State = &one.State
		}
		e.line(r)
	}
}

// revisionText leaves the zero revision out.
func revisionText(r Revision) string {
	if r.IsZero() {
		return ""
	}
	return r.String()
}
