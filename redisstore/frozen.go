package redisstore

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// frozenVersion is the form of a frozen request, and of the answers that it is
// read with. Scripts change from version to version of Poolkeeper: a request is
// executed by the one that it was frozen with, which is kept beside it.
const frozenVersion = 1

// originVersion is that of a request with an origin, which stands before the rest.
const originVersion = 2

// encodeRequest writes the request under way for the Spool: texts and numbers
// in the order in which decodeRequest reads them.
func (w *work) encodeRequest(epoch string) []byte {
	var e encoder
	if w.request.origin == "" {
		e.number(frozenVersion)
	} else {
		e.number(originVersion)
		e.text(w.request.origin)
	}
	e.text(w.key, w.writer)
	e.number(w.seq + 1)
	e.text(epoch, w.request.script.name)
	e.number(uint64(w.batch.kind))
	e.number(uint64(len(w.request.keys)))
	e.text(w.request.keys...)
	e.number(uint64(len(w.request.args)))
	e.text(w.request.args...)
	for j, i := range w.open {
		c := w.batch.calls[i]
		id := c.id
		if id == c.op.ID {
			id = ""
		}
		row := -1
		if w.batch.kind == usageBatch {
			row = w.rowOf[j]
		}
		e.text(id)
		e.number(uint64(row + 1))
	}
	return e
}

// A frozenRequest is one that was read.
type frozenRequest struct {
	origin                     string
	key, writer, epoch, script string
	seq                        uint64
	kind                       batchKind
	keys, args                 []string
	ids                        []string // of the providers that the ops reached, by aliases; empty: their own
	rows                       []int    // the rows of the ops, or -1; of increments only
}

var errFrozen = poolkeeper.Errorf(poolkeeper.ErrDamaged, "a frozen request cannot be read").
	WithHint("a newer version may have written it")

func decodeRequest(data []byte, ops int) (*frozenRequest, error) {
	d := decoder{rest: data}
	origin := ""
	switch d.number() {
	case frozenVersion:
	case originVersion:
		origin = d.text()
	default:
		return nil, errFrozen
	}
	r := &frozenRequest{origin: origin, key: d.text(), writer: d.text(), seq: d.number(), epoch: d.text(), script: d.text(), kind: batchKind(d.number())}
	r.keys, r.args = d.texts(), d.texts()
	for range ops {
		r.ids = append(r.ids, d.text())
		r.rows = append(r.rows, int(d.number())-1)
	}
	if d.bad || len(d.rest) > 0 || r.seq == 0 || r.writer == "" || r.kind > keyedBatch {
		return nil, errFrozen
	}
	return r, nil
}

type encoder []byte

func (e *encoder) number(n uint64) { *e = binary.AppendUvarint(*e, n) }

func (e *encoder) text(texts ...string) {
	for _, t := range texts {
		e.number(uint64(len(t)))
		*e = append(*e, t...)
	}
}

type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.bad, d.rest = true, nil
		return ""
	}
	t := string(d.rest[:n])
	d.rest = d.rest[n:]
	return t
}

func (d *decoder) texts() []string {
	n := d.number()
	if n > uint64(len(d.rest)) { // each takes a byte at least
		d.bad, d.rest = true, nil
	}
	var texts []string
	for i := uint64(0); i < n && !d.bad; i++ {
		texts = append(texts, d.text())
	}
	return texts
}

// rowsOf restores the rows of a batch of increments: what their answers are read
// with.
func (l *lane) rowsOf(r *frozenRequest, calls []*call) ([]usageRow, error) {
	var rows []usageRow
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, row := range r.rows {
		switch {
		case row < 0:
			continue
		case row > len(rows):
			return nil, errFrozen
		case row == len(rows):
			rows = append(rows, usageRow{known: l.know(calls[i].id), id: calls[i].id})
		}
		rows[row].n += calls[i].op.N
		rows[row].at = max(rows[row].at, calls[i].op.At)
	}
	// What the counters become where all is as foreseen stands in the request.
	var t clock
	counts := make(map[string]int64, len(rows))
	for i := 5; i+1 < len(r.args); i += 2 {
		if strings.HasSuffix(r.args[i], ":usageCount") {
			counts[r.args[i]], _ = strconv.ParseInt(r.args[i+1], 10, 64)
		}
	}
	for i := range rows {
		rows[i].count = counts[rows[i].known.usageCount]
		rows[i].used = t.literal(rows[i].at)
		if at := 26 * i; len(r.args) > 3 && len(r.args[3]) >= at+26 { // as it was sent
			rows[i].used = r.args[3][at : at+26]
		}
	}
	return rows, nil
}
