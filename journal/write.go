package journal

import (
	"errors"
	"syscall"

	"github.com/poolkeeper/poolkeeper"
)

const (
	// aheadBytes is how many zeros are written behind a frame that comes to the
	// end of the file: to make frames durable that only replace zeros, the disk
	// need not note the length of the file, nor where it lies.
	aheadBytes = 256 << 10
	// aheadFrame is the largest frame for which that pays.
	aheadFrame = 64 << 10
)

// begin makes a new segment, durably, and makes it the one that is written to.
func (j *Journal) begin(first uint64) error {
	f, err := create(j.fs, header{first, first})
	if err != nil {
		j.fs.Remove(segmentName(first)) // it is empty, whether it stays or not
		return err
	}
	if j.file != nil {
		j.file.Close() // all of it is synced
	}
	j.file, j.room = f, headerSize
	j.mu.Lock()
	j.segments = append(j.segments, segment{first, first, headerSize})
	j.size += headerSize
	j.mu.Unlock()
	return nil
}

// put appends the frame in the buffer, durably.
func (j *Journal) put(count int) (first uint64, err error) {
	j.mu.Lock()
	last, broken := j.segments[len(j.segments)-1], j.broken
	j.mu.Unlock()
	if broken != nil {
		return 0, broken
	}
	if last.size >= j.opts.SegmentBytes && last.end > last.first {
		// Also where the journal is full: now a trim can remove all that is in it.
		if err := j.begin(last.end); err != nil {
			return 0, j.failure("write", err)
		}
		last = segment{last.end, last.end, headerSize}
	}
	j.mu.Lock()
	free := j.opts.MaxBytes - j.size - int64(len(j.buf))
	j.mu.Unlock()
	if free < 0 {
		return 0, ErrFull
	}
	endFrame(j.buf, last.end, count)
	ahead := j.ahead(last.size+int64(len(j.buf)), free)
	err = j.save(last.size, ahead)
	if ahead > 0 && errors.Is(err, syscall.ENOSPC) {
		if broken := j.retreat(last.size, err); broken != nil {
			return 0, broken
		}
		err = j.save(last.size, 0) // there may be room for the frame alone
	}
	if err != nil {
		if broken := j.retreat(last.size, err); broken != nil {
			return 0, broken
		}
		return 0, j.failure("write", err)
	}
	j.mu.Lock()
	now := &j.segments[len(j.segments)-1]
	now.end += uint64(count)
	now.size += int64(len(j.buf))
	j.size += int64(len(j.buf))
	j.mu.Unlock()
	return last.end, nil
}

// ahead is how many zeros to write behind the frame in the buffer, which ends at
// an offset.
func (j *Journal) ahead(end, free int64) int64 {
	if end <= j.room || len(j.buf) > aheadFrame {
		return 0
	}
	return max(0, min(aheadBytes, j.opts.SegmentBytes-end, free))
}

// save writes the frame in the buffer, and zeros behind it, and syncs.
func (j *Journal) save(at, ahead int64) error {
	n := len(j.buf)
	for rest := ahead; rest > 0; rest -= int64(len(zeros)) {
		j.buf = append(j.buf, zeros[:min(rest, int64(len(zeros)))]...)
	}
	_, err := j.file.WriteAt(j.buf, at)
	end := at + int64(len(j.buf))
	j.buf = j.buf[:n]
	if err == nil {
		err = j.file.SyncData()
	}
	if err == nil {
		j.room = max(j.room, end)
	}
	return err
}

// retreat cuts the segment back to what was durable before a write that failed.
// An error of it is that of the write, whose outcome is unknown.
func (j *Journal) retreat(size int64, cause error) error {
	err := j.file.Truncate(size)
	if err == nil {
		err = j.file.Sync()
	}
	if err == nil {
		j.room = size
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrUnavailable, "an earlier write has failed and could not be taken back: %v", err).
		WithHint("check the disk, and start again"), "write", "journal in "+j.dir)
	return poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "%v; and it could not be taken back: %v", cause, err).
		WithHint("check the disk, and start again: what was written may be found then"), "write", "journal in "+j.dir)
}
