package journal

import (
	"math/bits"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// First is the sequence of the first record that is kept; above Last where
// there is none.
func (j *Journal) First() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments[0].first
}

// Last is the sequence of the last record that is durable; 0 where there never
// was one. Where a repair has given up the last ones, it is at least theirs: no
// sequence is given twice.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments[len(j.segments)-1].end - 1
}

// Size is how many bytes of the segments are in use.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size
}

// Batches says how many records were synced together since Open.
func (j *Journal) Batches() poolkeeper.BatchSizes {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.batches
}

// tally counts a batch: the bounds are the powers of two.
func (j *Journal) tally(records int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	counts := &j.batches.Counts
	counts[min(bits.Len(uint(records-1)), len(counts)-1)]++
	j.batches.Ops += uint64(records)
}

// Torn is how many bytes of an unfinished write Open has cut off.
func (j *Journal) Torn() int64 { return j.torn }

// Read calls fn for the records from a sequence on that are durable, in their
// order. The bytes are fn's to keep. What is trimmed meanwhile may be left out,
// and so is what a repair has given up. It returns the error of fn, or that of
// reading.
func (j *Journal) Read(from uint64, fn func(seq uint64, data []byte) error) error {
	j.mu.Lock()
	segments, closed := slices.Clone(j.segments), j.closed
	j.mu.Unlock()
	if closed {
		return &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	for _, s := range segments {
		if s.end <= max(from, s.first) {
			continue
		}
		b, err := readSegment(j.fs, segmentName(s.first), s.size)
		if err != nil {
			if closed, trimmed := j.gone(s); closed {
				return &poolkeeper.Error{Err: poolkeeper.ErrClosed}
			} else if trimmed {
				continue
			}
			return j.failure("read", err)
		}
		var fnErr error
		got, err := scanSegment(b, s.first, func(seq uint64, data []byte) error {
			if seq >= from {
				fnErr = fn(seq, data)
			}
			return fnErr
		})
		switch {
		case err != nil:
			return fnErr
		case got.end != s.end:
			if got.fault == "" {
				got.fault = "it was longer before"
			}
			return &CorruptError{j.dir, segmentName(s.first), got.size, got.fault}
		}
	}
	return nil
}

// gone says why a segment cannot be read any more.
func (j *Journal) gone(s segment) (closed, trimmed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed, s.first < j.segments[0].first
}

// Trim gives up the records up to a sequence. They go by whole segments, never
// the last one, so some of them may still be read. After an error they may be
// found again when the journal is opened.
func (j *Journal) Trim(upTo uint64) error {
	j.trim.Lock()
	defer j.trim.Unlock()
	for {
		s, err := j.shift(upTo)
		if err != nil || s == nil {
			return err
		}
		if err := j.fs.Remove(segmentName(s.first)); err != nil && !isNotExist(err) {
			j.mu.Lock()
			j.segments = slices.Insert(j.segments, 0, *s)
			j.size += s.size
			j.mu.Unlock()
			return j.failure("trim", err)
		}
		// One after the other, so that a crash leaves no gap.
		if err := j.fs.SyncDir("."); err != nil {
			return j.failure("trim", err)
		}
	}
}

// shift takes the first segment off the list where it can go.
func (j *Journal) shift(upTo uint64) (*segment, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	if len(j.segments) == 1 || j.segments[0].end-1 > upTo {
		return nil, nil
	}
	s := j.segments[0]
	j.segments = j.segments[1:]
	j.size -= s.size
	return &s, nil
}
