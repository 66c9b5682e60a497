package backlog

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

// The journal is given up from its beginning, by whole segments. What still waits
// there would keep all that came after it, so it is written anew at the end: each
// record in a form that says its number, and a request together with its ops.

// chunkBytes is how much is written anew at once. Nobody else writes meanwhile.
const chunkBytes = 1 << 20

// tidy begins to write the journal anew where most of it is of no use any more.
func (b *Backlog) tidy() {
	if b.journal == nil {
		return
	}
	size := b.journal.Size()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.compacting || size <= 2*b.bytes+b.opts.Slack || size < b.compactAt {
		return
	}
	b.compacting = true
	b.working.Go(func() {
		err := b.compact()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.compacting, b.compactAt = false, 0
		if err != nil { // not again at once
			b.compactAt = b.journal.Size() + b.opts.Slack
			b.opts.Logger.Warn("the journal of queued ops cannot be written anew", "error", err)
		}
	})
}

// compact writes all anew that stands before what is now the end, and gives up
// what is before that.
func (b *Backlog) compact() error {
	return b.copying().finish()
}

// copying begins it.
func (b *Backlog) copying() *copying {
	c := &copying{Backlog: b, upTo: b.journal.Last(), did: map[uint64]bool{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	c.frozenLeft, c.entriesLeft, c.asideLeft = sortedKeys(b.frozen), sortedKeys(b.entries), sortedKeys(b.aside)
	return c
}

func (c *copying) finish() error {
	for !c.done {
		if err := c.chunk(); err != nil {
			return err
		}
	}
	return c.journal.Trim(c.upTo)
}

type copying struct {
	*Backlog
	upTo                               uint64
	begun, done                        bool
	frozenLeft, entriesLeft, asideLeft []uint64

	did     map[uint64]bool // requests that were written anew
	records [][]byte
	seqs    []*uint64 // where the sequence of each record is kept; nil where it is not
	size    int
}

func (c *copying) put(rec []byte, seq *uint64) {
	c.records, c.seqs, c.size = append(c.records, rec), append(c.seqs, seq), c.size+len(rec)
}

// chunk writes some of it.
func (c *copying) chunk() error {
	c.gate.Lock()
	defer c.gate.Unlock()
	c.records, c.seqs, c.size = nil, nil, 0
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	c.fill()
	c.mu.Unlock()
	if len(c.records) == 0 {
		return nil
	}
	return c.write(context.Background(), func(first uint64) {
		for i, at := range c.seqs {
			if at != nil {
				*at = first + uint64(i)
			}
		}
	}, c.records...)
}

// fill takes what is written next.
func (c *copying) fill() {
	if !c.begun {
		c.begun = true
		if c.epoch != "" {
			w := record(epochRecord)
			w.text([]byte(c.epoch))
			c.put(w, nil)
		}
		if c.claim.Journal != "" {
			c.put(c.claim.record(), nil)
		}
		if len(c.ledger) > 0 {
			c.put(c.ledgerRecord(), nil)
		}
		if len(c.losses) > 0 {
			c.put(c.lossesRecord(), nil)
		}
		c.programsAnew()
	}
	for c.size < chunkBytes {
		switch {
		case len(c.frozenLeft) > 0:
			c.request(c.frozenLeft[0])
			c.frozenLeft = c.frozenLeft[1:]
		case len(c.entriesLeft) > 0:
			n := c.entriesLeft[0]
			if e := c.entries[n]; e != nil && e.seq <= c.upTo {
				if e.frozen != 0 {
					c.request(e.frozen)
				} else {
					c.entry(e)
				}
			} else if a := c.aside[n]; a != nil && e == nil { // meanwhile; its op stands where it is given up
				c.setAside(a)
			}
			c.entriesLeft = c.entriesLeft[1:]
		case len(c.asideLeft) > 0:
			if a := c.aside[c.asideLeft[0]]; a != nil { // also one of just now: its op may stand before the end
				c.setAside(a)
			}
			c.asideLeft = c.asideLeft[1:]
		default:
			c.done = true
			return
		}
	}
}

func (c *copying) entry(e *entry) {
	if e.rescue != 0 {
		c.put(rescued(e), &e.seq)
		return
	}
	c.put(copyOf(e.Entry, &e.Op), &e.seq)
}

func (c *copying) setAside(a *Aside) {
	c.put(copyOf(a.Entry, &a.Op), nil)
	w := record(asideRecord)
	w.number(a.Entry, uint64(a.At))
	w.text(encodeResult(poolkeeper.Result{Err: a.Err}))
	c.put(w, &a.seq)
}

// request writes a request anew, with all its ops.
func (c *copying) request(n uint64) {
	f := c.frozen[n]
	if f == nil || c.did[n] {
		return
	}
	c.did[n] = true
	for _, op := range f.Ops {
		c.entry(c.entries[op.Entry])
	}
	c.put(encodeFrozen(f.Frozen), &f.seq)
}

// programsAnew forgets the programs that no request needs, and writes the others
// anew: also a request that is frozen later may need them.
func (c *copying) programsAnew() {
	used := map[string]bool{}
	for _, f := range c.frozen {
		used[f.ProgramName] = true
	}
	for name, p := range c.programs {
		if used[name] {
			c.put(programOf(name, p.source), &p.seq)
		} else {
			delete(c.programs, name)
		}
	}
}

func copyOf(n uint64, op *poolkeeper.Op) []byte {
	w := record(copyRecord)
	w.number(n)
	data, err := poolkeeper.EncodeOp(op)
	if err != nil { // it was encoded before
		panic(err)
	}
	return append(w, data...)
}
