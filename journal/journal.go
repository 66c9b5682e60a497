package journal

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// Defaults and bounds.
const (
	DefaultMaxBytes     = 1 << 30
	DefaultSegmentBytes = 16 << 20
	// MaxRecord is the most bytes of one record.
	MaxRecord = 256 << 20

	batchBytes = 4 << 20 // of records that travel together, unless one is larger
	lockName   = "lock"
)

// Options of a Journal. A nil *Options means all defaults.
type Options struct {
	// FS is the directory, for tests that make it fail.
	FS vfs.FS
	// MaxBytes bounds all segments together.
	MaxBytes int64
	// SegmentBytes is when a segment is full. A frame is never split, so one
	// may be larger.
	SegmentBytes int64
}

// A Journal is the log of one directory, which this process has for itself.
type Journal struct {
	dir  string
	fs   vfs.FS
	lock vfs.File
	opts Options
	torn int64

	mu       sync.Mutex
	idle     *sync.Cond // writing has become false
	writing  bool       // somebody is writing
	closed   bool
	broken   error // why nothing more can be written
	waiting  []*pending
	segments []segment // never empty once something was written
	size     int64     // of all segments

	// Owned by whoever is writing.
	file vfs.File // the last segment
	buf  []byte
}

// pending is an Append that waits for its turn.
type pending struct {
	records [][]byte
	size    int
	commit  func(first uint64)
	first   uint64
	err     error
	turn    chan bool // true: it is to write; false: it was written, or failed
}

// Open opens the journal of a directory, which is made where it is missing.
//
// The torn end of a write that was under way at a crash is cut off: nothing of
// it was acknowledged. Any other damage is a [*CorruptError], and nothing is
// changed. [poolkeeper.ErrUnavailable] where another process has the journal.
func Open(dir string, opts *Options) (*Journal, error) {
	j := &Journal{dir: dir}
	if opts != nil {
		j.opts = *opts
	}
	if j.opts.MaxBytes <= 0 {
		j.opts.MaxBytes = DefaultMaxBytes
	}
	if j.opts.SegmentBytes <= 0 {
		j.opts.SegmentBytes = DefaultSegmentBytes
	}
	j.idle = sync.NewCond(&j.mu)
	if j.fs = j.opts.FS; j.fs == nil {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, j.failure("make", err)
		}
		var err error
		if j.fs, err = vfs.Open(dir); err != nil {
			return nil, j.failure("open", err)
		}
	}
	if err := j.open(); err != nil {
		j.release()
		return nil, err
	}
	return j, nil
}

func (j *Journal) open() (err error) {
	if err := j.hold(); err != nil {
		return err
	}
	if j.segments, j.torn, err = load(j.fs, j.dir); err != nil {
		return j.failure("read", err)
	}
	for _, s := range j.segments {
		j.size += s.size
	}
	if len(j.segments) == 0 {
		return j.failure("make", j.begin(1))
	}
	j.file, err = j.fs.OpenFile(segmentName(j.segments[len(j.segments)-1].first), os.O_RDWR, 0)
	return j.failure("open", err)
}

// hold takes the journal for this process.
func (j *Journal) hold() (err error) {
	if j.lock, err = j.fs.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return j.failure("lock", err)
	}
	if err := j.lock.Lock(); errors.Is(err, vfs.ErrLocked) {
		return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the journal in %s is in use%s", j.dir, j.holder()).
			WithHint("stop the other process, or give this one a state directory of its own")
	} else if err != nil {
		return j.failure("lock", err)
	}
	if err := j.lock.Truncate(0); err != nil {
		return j.failure("lock", err)
	}
	_, err = j.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return j.failure("lock", err)
}

// holder names the process that has the lock.
func (j *Journal) holder() string {
	b := make([]byte, 20)
	n, _ := j.lock.ReadAt(b, 0)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n]))); err == nil {
		return " by process " + strconv.Itoa(pid)
	}
	return ""
}

// failure makes an error of the file system one of the closed set.
func (j *Journal) failure(action string, err error) error {
	var corrupt *CorruptError
	var own *poolkeeper.Error
	if err == nil || errors.As(err, &corrupt) || errors.As(err, &own) {
		return err
	}
	return poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%v", err).
		WithHint("check the disk, and that the directory may be written"), action, "journal in "+j.dir)
}

// begin makes a new segment, durably, and makes it the one that is written to.
func (j *Journal) begin(first uint64) error {
	name := segmentName(first)
	f, err := j.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(appendHeader(nil, first), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.fs.SyncDir(".")
	}
	if err != nil {
		f.Close()
		j.fs.Remove(name) // it is empty, whether it stays or not
		return err
	}
	if j.file != nil {
		j.file.Close() // all of it is synced
	}
	j.file = f
	j.mu.Lock()
	j.segments = append(j.segments, segment{first, first, headerSize})
	j.size += headerSize
	j.mu.Unlock()
	return nil
}

// First is the sequence of the first record that is kept; above Last where
// there is none.
func (j *Journal) First() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments[0].first
}

// Last is the sequence of the last record that is durable; 0 where there never
// was one.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments[len(j.segments)-1].end - 1
}

// Size is how many bytes the segments have.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size
}

// Torn is how many bytes of an unfinished write Open has cut off.
func (j *Journal) Torn() int64 { return j.torn }

// Read calls fn for the records from a sequence on that are durable, in their
// order. The bytes are fn's to keep. It returns the error of fn, or that of
// reading.
func (j *Journal) Read(from uint64, fn func(seq uint64, data []byte) error) error {
	j.mu.Lock()
	segments, closed := slices.Clone(j.segments), j.closed
	j.mu.Unlock()
	if closed {
		return &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	for _, s := range segments {
		if s.end <= from {
			continue
		}
		b, err := readSegment(j.fs, segmentName(s.first), s.size)
		if err != nil {
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
			return &CorruptError{j.dir, segmentName(s.first), got.size, got.fault}
		}
	}
	return nil
}

// Trim gives up the records up to a sequence. They go by whole segments, so some
// of them may still be read.
func (j *Journal) Trim(upTo uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	n := 0
	for len(j.segments) > 1 && j.segments[0].end <= upTo+1 {
		if err := j.fs.Remove(segmentName(j.segments[0].first)); err != nil && !isNotExist(err) {
			return j.failure("trim", err)
		}
		j.size -= j.segments[0].size
		j.segments = j.segments[1:]
		n++
	}
	if n == 0 {
		return nil
	}
	return j.failure("trim", j.fs.SyncDir("."))
}

// Close ends the journal after the appends under way. Later calls fail with
// [poolkeeper.ErrClosed]; closing twice is no error.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	for j.writing {
		j.idle.Wait()
	}
	j.mu.Unlock()
	j.release()
	return nil
}

func (j *Journal) release() {
	if j.file != nil {
		j.file.Close()
	}
	if j.lock != nil {
		j.lock.Close() // and with it the lock
	}
	j.fs.Close()
}

// Append makes records durable, all of them or none, and returns the sequence
// of the first. commit, where it is not nil, is called once they are, before
// Append returns: the commits of a Journal are called one at a time and in the
// order of the sequences.
//
// An error means that the records are not in the journal and never will be:
// [ErrFull]; [poolkeeper.ErrTooLarge] for a record above [MaxRecord]; that of ctx
// where it ended before the write began; [poolkeeper.ErrClosed];
// [poolkeeper.ErrUnavailable] where the disk has failed. After a failed write or
// sync the segment is cut back to what was durable before. Where that fails too,
// nothing more can be appended until the journal is opened again: the error says
// [poolkeeper.ErrIndeterminate], as the records may be found then.
func (j *Journal) Append(ctx context.Context, commit func(first uint64), records ...[]byte) (uint64, error) {
	p := &pending{records: records, commit: commit, turn: make(chan bool, 1)}
	for _, r := range records {
		if len(r) > MaxRecord {
			return 0, poolkeeper.Errorf(poolkeeper.ErrTooLarge, "a record of the journal has %d bytes; the limit is %d", len(r), MaxRecord)
		}
		p.size += len(r) + 10
	}
	if p.size > 2*MaxRecord {
		return 0, poolkeeper.Errorf(poolkeeper.ErrTooLarge, "the records have %d bytes together; the limit is %d", p.size, 2*MaxRecord)
	}
	if len(records) == 0 {
		return 0, poolkeeper.Errorf(poolkeeper.ErrInvalid, "there is no record to append")
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	j.mu.Lock()
	if err := j.usable(); err != nil {
		j.mu.Unlock()
		return 0, err
	}
	j.waiting = append(j.waiting, p)
	lead := !j.writing
	j.writing = true
	j.mu.Unlock()
	if !lead {
		var err error
		if lead, err = j.wait(ctx, p); err != nil {
			return 0, err
		}
	}
	if lead {
		j.write(j.take())
		j.pass()
	}
	return p.first, p.err
}

func (j *Journal) usable() error {
	if j.closed {
		return &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	return j.broken
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

// take takes the appends that are written together.
func (j *Journal) take() []*pending {
	j.mu.Lock()
	defer j.mu.Unlock()
	n, size := 0, 0
	for _, p := range j.waiting {
		if n > 0 && size+p.size > batchBytes {
			break
		}
		size += p.size
		n++
	}
	batch := slices.Clone(j.waiting[:n])
	j.waiting = slices.Delete(j.waiting, 0, n)
	return batch
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
	if cap(j.buf) > 2*batchBytes {
		j.buf = nil
	}
}

// put appends the frame in the buffer, durably.
func (j *Journal) put(count int) (first uint64, err error) {
	j.mu.Lock()
	last, size, broken := j.segments[len(j.segments)-1], j.size, j.broken
	j.mu.Unlock()
	if broken != nil {
		return 0, broken
	}
	if size+int64(len(j.buf)) > j.opts.MaxBytes {
		return 0, ErrFull
	}
	if last.size >= j.opts.SegmentBytes {
		if err := j.begin(last.end); err != nil {
			return 0, j.failure("write", err)
		}
		last = segment{last.end, last.end, headerSize}
	}
	endFrame(j.buf, last.end, count)
	if _, err = j.file.WriteAt(j.buf, last.size); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return 0, j.retreat(last.size, err)
	}
	j.mu.Lock()
	now := &j.segments[len(j.segments)-1]
	now.end += uint64(count)
	now.size += int64(len(j.buf))
	j.size += int64(len(j.buf))
	j.mu.Unlock()
	return last.end, nil
}

// retreat cuts the segment back to what was durable before a write that failed.
func (j *Journal) retreat(size int64, cause error) error {
	err := j.file.Truncate(size)
	if err == nil {
		err = j.file.Sync()
	}
	if err == nil {
		return j.failure("write", cause)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrUnavailable, "an earlier write has failed and could not be taken back: %v", err).
		WithHint("check the disk, and start again"), "write", "journal in "+j.dir)
	return poolkeeper.Annotate(poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "%v; and it could not be taken back: %v", cause, err).
		WithHint("check the disk, and start again: what was written may be found then"), "write", "journal in "+j.dir)
}
