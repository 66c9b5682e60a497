package poolkeeper

import (
	"encoding/json"
	"io"
)

// DecodeSnapshot reads what [EncodeSnapshot] wrote, strictly and to its end: what
// was cut off anywhere is an error, which is [ErrInvalid] or the one of r. What
// the snapshot says is not checked; [Backend.Restore] does that.
func DecodeSnapshot(r io.Reader) (*Snapshot, error) {
	d := &snapshotReader{snap: NewSnapshot()}
	in := &readFault{r: r}
	dec := json.NewDecoder(in)
	dec.DisallowUnknownFields()
	for n := -1; ; n++ {
		var rec wireRecord
		switch err := dec.Decode(&rec); {
		case in.err != nil:
			return nil, in.err
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return nil, Errorf(ErrInvalid, "snapshot: it ends before its last line")
		case err != nil:
			return nil, Errorf(ErrInvalid, "snapshot: line %d: %s", n+2, decodeFault(err))
		}
		if n < 0 {
			if rec.Snapshot != SnapshotVersion {
				return nil, Errorf(ErrInvalid, "snapshot: its first line does not say version %d", SnapshotVersion)
			}
			continue
		}
		if rec.End != nil {
			if *rec.End != n {
				return nil, Errorf(ErrInvalid, "snapshot: %d lines, and the last one says %d", n, *rec.End)
			}
			if _, err := dec.Token(); err != io.EOF {
				return nil, Errorf(ErrInvalid, "snapshot: something stands after its last line")
			}
			return d.snap, nil
		}
		if err := d.take(&rec); err != nil {
			return nil, Errorf(ErrInvalid, "snapshot: line %d: %v", n+2, err)
		}
	}
}

// A readFault keeps the error of a reader, which the decoder would wrap or hide.
type readFault struct {
	r   io.Reader
	err error
}

func (f *readFault) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

type snapshotReader struct {
	snap *Snapshot
	pool *Pool // the one whose providers follow
}

func (d *snapshotReader) take(r *wireRecord) (err error) {
	s := d.snap
	if r.Provider == nil && r.Pool == nil {
		d.pool = nil
	}
	kinds := 0
	for _, is := range []bool{r.Meta != nil, r.Types != nil, r.Pool != nil, r.Provider != nil, r.Value != nil, r.Alias != nil} {
		if is {
			kinds++
		}
	}
	if kinds != 1 || r.Snapshot != 0 {
		return Errorf(ErrInvalid, "it is not one of the kinds of lines")
	}
	switch {
	case r.Meta != nil:
		s.Meta[*r.Meta] = string(r.Data)
	case r.Types != nil:
		if s.Types != nil {
			return Errorf(ErrInvalid, "the types stand twice")
		}
		s.Types = r.Types
	case r.Pool != nil:
		if s.Pools[*r.Pool] != nil {
			return Errorf(ErrInvalid, "a pool stands twice")
		}
		d.pool = &Pool{Type: *r.Pool}
		s.Pools[*r.Pool] = d.pool
		if d.pool.Revision, err = parseRevisionText(r.Revision); err == nil {
			d.pool.Structure, err = parseRevisionText(r.Structure)
		}
	case r.Provider != nil:
		if d.pool == nil {
			return Errorf(ErrInvalid, "a provider without its pool")
		}
		p := Provider{Ref: Ref{d.pool.Type, *r.Provider}, Definition: r.Definition}
		if r.State != nil {
			p.State = *r.State
		}
		d.pool.Providers = append(d.pool.Providers, p)
	case r.Value != nil:
		if _, twice := s.Values[*r.Value]; twice {
			return Errorf(ErrInvalid, "a value stands twice")
		}
		doc := Document{Data: r.Data, ExpiresAt: r.ExpiresAt}
		doc.Revision, err = parseRevisionText(r.Revision)
		s.Values[*r.Value] = doc
	case r.Alias != nil:
		s.Aliases[*r.Alias] = r.ID
	}
	return err
}

func parseRevisionText(s string) (Revision, error) {
	if s == "" {
		return Revision{}, nil
	}
	return ParseRevision(s)
}
