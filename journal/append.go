package journal

import (
	"context"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// batchBytes bounds the records that are written together, unless one append is
// larger.
const batchBytes = 4 << 20

// A pending is an Append that waits for its turn.
type pending struct {
	records [][]byte
	size    int // bound of the bytes that it adds to a frame
	commit  func(first uint64)
	first   uint64
	err     error
	turn    chan bool // true: it is to write; false: it was written, or failed
}

// pending returns one of the pool. It is that of the journal, not of the process:
// a test with a clock of its own has its own channels.
func (j *Journal) pending() *pending {
	if p, ok := j.pool.Get().(*pending); ok {
		return p
	}
	return &pending{turn: make(chan bool, 1)}
}

// release gives a pending back that nobody else knows any more.
func (j *Journal) release(p *pending) (first uint64, err error) {
	first, err = p.first, p.err
	*p = pending{turn: p.turn}
	j.pool.Put(p)
	return first, err
}

// Append makes records durable, all of them or none, and returns the sequence
// of the first. commit, where it is not nil, is called once they are, before
// Append returns: the commits of a Journal are called one at a time and in the
// order of the sequences. A commit must not append, nor close the journal. The
// records are the caller's again when Append returns.
//
// An error means that the records are not in the journal and never will be:
// [ErrFull]; [poolkeeper.ErrTooLarge] for a record above [MaxRecord]; that of ctx
// where it ended before the write began; [poolkeeper.ErrClosed];
// [poolkeeper.ErrUnavailable] where the disk has failed or is full. After a failed
// write or sync the segment is cut back to what was durable before. Where that
// fails too, nothing more can be appended until the journal is opened again: the
// error says [poolkeeper.ErrIndeterminate], as the records may be found then.
func (j *Journal) Append(ctx context.Context, commit func(first uint64), records ...[]byte) (uint64, error) {
	size, err := sizeOf(records)
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	p := j.pending()
	p.records, p.size, p.commit = records, size, commit
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		j.release(p)
		return 0, &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	j.waiting = append(j.waiting, p)
	lead := !j.writing
	j.writing = true
	j.mu.Unlock()
	if !lead {
		if lead, err = j.wait(ctx, p); err != nil {
			j.release(p)
			return 0, err
		}
	}
	if lead {
		j.write(j.take())
		j.pass()
	}
	return j.release(p)
}

// sizeOf bounds the bytes that records add to a frame.
func sizeOf(records [][]byte) (size int, err error) {
	if len(records) == 0 {
		return 0, poolkeeper.Errorf(poolkeeper.ErrInvalid, "there is no record to append")
	}
	for _, r := range records {
		if len(r) > MaxRecord {
			return 0, poolkeeper.Errorf(poolkeeper.ErrTooLarge, "a record of the journal has %d bytes; the limit is %d", len(r), MaxRecord)
		}
		size += len(r) + uvarintLen(len(r))
		if size > 2*MaxRecord {
			return 0, poolkeeper.Errorf(poolkeeper.ErrTooLarge, "the records have more than %d bytes together", 2*MaxRecord)
		}
	}
	return size, nil
}

// wait returns when it is this append's turn to write, or it was written.
func (j *Journal) wait(ctx context.Context, p *pending) (lead bool, err error) {
	select {
	case lead := <-p.turn:
		return lead, nil
	case <-ctx.Done():
	}
	j.mu.Lock()
	if i := slices.Index(j.waiting, p); i >= 0 && len(p.turn) == 0 {
		j.waiting = slices.Delete(j.waiting, i, i+1)
		j.mu.Unlock()
		return false, ctx.Err()
	}
	j.mu.Unlock()
	return <-p.turn, nil // its write is under way, and takes no longer than the disk
}

// take takes the appends that are written together: as many as one frame has
// room for, and the journal, but at least one.
func (j *Journal) take() []*pending {
	j.mu.Lock()
	defer j.mu.Unlock()
	room := min(batchBytes, j.opts.MaxBytes-j.size-headerSize-frameHeader)
	n, size := 0, int64(0)
	for _, p := range j.waiting {
		if size += int64(p.size); n > 0 && size > room {
			break
		}
		n++
	}
	j.batch = append(j.batch[:0], j.waiting[:n]...)
	j.waiting = slices.Delete(j.waiting, 0, n)
	return j.batch
}

// pass gives the turn to the next.
func (j *Journal) pass() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) > 0 {
		j.waiting[0].turn <- true
		return
	}
	j.writing = false
	j.idle.Broadcast()
}

// write writes a batch, which begins with that of the caller.
func (j *Journal) write(batch []*pending) {
	count := 0
	j.buf = beginFrame(j.buf[:0])
	for _, p := range batch {
		for _, r := range p.records {
			j.buf = appendRecord(j.buf, r)
		}
		count += len(p.records)
	}
	first, err := j.put(count)
	if err == nil {
		j.tally(count)
	}
	for i, p := range batch {
		if p.err = err; err == nil {
			p.first = first
			first += uint64(len(p.records))
			if p.commit != nil {
				p.commit(p.first)
			}
		}
		if i > 0 {
			p.turn <- false
		}
	}
	clear(batch)
	if cap(j.buf) > 2*batchBytes {
		j.buf = nil
	}
}
