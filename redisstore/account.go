package redisstore

import "encoding/binary"

// An account is how much a writer has had acknowledged, sequence by sequence: some
// bytes for each, and of what is very old only sums of ranges. So what is lost and
// no tail has can be told, by how much.
type account struct {
	writer string
	last   uint64 // the last sequence that was acknowledged
	used   int64  // when that was
	pages  []page // the oldest first
}

// A page is a range of sequences.
type page struct {
	from, to uint64
	ops, n   int64
	rows     []byte // for each sequence in it: how much later it is, ops, and n; nil where only the sums are known
}

const (
	pageBytes = 4 << 10
	maxRows   = 64   // pages that have them
	maxPages  = 1024 // then the oldest become one
)

// add takes note of a sequence.
func (a *account) add(seq uint64, ops, n, now int64) {
	a.last, a.used = max(a.last, seq), now
	if ops == 0 && n == 0 {
		return
	}
	if i := len(a.pages) - 1; i < 0 || len(a.pages[i].rows) >= pageBytes || a.pages[i].rows == nil {
		a.pages = append(a.pages, page{from: seq, to: seq})
		if i := len(a.pages) - 1 - maxRows; i >= 0 {
			a.pages[i].rows = nil
		}
		if len(a.pages) > maxPages {
			x, y := &a.pages[0], &a.pages[1]
			y.from, y.ops, y.n = x.from, x.ops+y.ops, x.n+y.n
			a.pages = append(a.pages[:0], a.pages[1:]...)
		}
	}
	p := &a.pages[len(a.pages)-1]
	seq = max(seq, p.to)
	p.rows = binary.AppendUvarint(p.rows, seq-p.to)
	p.rows = binary.AppendUvarint(p.rows, uint64(ops))
	p.rows = binary.AppendUvarint(p.rows, uint64(n))
	p.to, p.ops, p.n = seq, p.ops+ops, p.n+n
}

// above sums up what comes after a sequence. Where that is in the midst of a range
// of which only the sums are known, all of the range is in it, and exact is false.
func (a *account) above(seq uint64) (ops, n int64, exact bool) {
	exact = true
	for i := len(a.pages) - 1; i >= 0 && a.pages[i].to > seq; i-- {
		p := &a.pages[i]
		if p.from > seq || p.rows == nil {
			exact = exact && p.from > seq
			ops, n = ops+p.ops, n+p.n
			continue
		}
		p.each(func(at uint64, o, m int64) {
			if at > seq {
				ops, n = ops+o, n+m
			}
		})
	}
	return ops, n, exact
}

func (p *page) each(f func(seq uint64, ops, n int64)) {
	d, at := decoder{rest: p.rows}, p.from
	for len(d.rest) > 0 {
		at += d.number()
		f(at, int64(d.number()), int64(d.number()))
	}
}

// cut forgets what comes after a sequence: it is not in Redis any more.
func (a *account) cut(seq uint64) {
	a.last = min(a.last, seq)
	for len(a.pages) > 0 && a.pages[len(a.pages)-1].from > seq {
		a.pages = a.pages[:len(a.pages)-1]
	}
	if len(a.pages) == 0 {
		return
	}
	p := &a.pages[len(a.pages)-1]
	if p.to <= seq || p.rows == nil {
		p.to = min(p.to, max(seq, p.from))
		return
	}
	left := page{from: p.from, to: p.from, rows: []byte{}}
	p.each(func(at uint64, ops, n int64) {
		if at > seq {
			return
		}
		left.rows = binary.AppendUvarint(left.rows, at-left.to)
		left.rows = binary.AppendUvarint(left.rows, uint64(ops))
		left.rows = binary.AppendUvarint(left.rows, uint64(n))
		left.to, left.ops, left.n = at, left.ops+ops, left.n+n
	})
	*p = left
}
