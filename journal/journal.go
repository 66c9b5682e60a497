package journal

import (
	"errors"
	"io"
	"os"
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

	lockName = "lock"
)

// Options of a Journal. A nil *Options means all defaults.
type Options struct {
	// FS is the directory, for tests that make it fail. It is closed with the
	// journal.
	FS vfs.FS
	// MaxBytes bounds all segments together, but for the header of an empty one.
	MaxBytes int64
	// SegmentBytes is when a segment is full, at most a quarter of MaxBytes. What
	// is written at once is never split, so one may be larger.
	SegmentBytes int64
}

// A Journal is the log of one directory, which this process has for itself.
type Journal struct {
	dir  string
	fs   vfs.FS
	lock vfs.File
	opts Options
	torn int64

	pool sync.Pool  // of *pending
	trim sync.Mutex // held while files are removed

	mu       sync.Mutex
	idle     *sync.Cond // writing has become false, or ended true
	writing  bool       // somebody is writing
	closed   bool
	ended    bool
	broken   error // why nothing more can be written
	waiting  []*pending
	segments []segment // never empty once something was written
	size     int64     // of all segments
	batches  poolkeeper.BatchSizes

	// Owned by whoever is writing.
	file  vfs.File // the last segment
	room  int64    // its length, with the zeros behind the frames
	buf   []byte
	batch []*pending
}

// Open opens the journal of a directory, which is made where it is missing.
//
// The torn end of a write that was under way at a crash is cut off: nothing of
// it was acknowledged. Any other damage is a [*CorruptError], and nothing is
// changed. [ErrInUse] where another process has the journal.
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
	// A trim leaves the last segment: it must not be what fills the journal.
	j.opts.SegmentBytes = min(j.opts.SegmentBytes, j.opts.MaxBytes/4)
	j.idle = sync.NewCond(&j.mu)
	if j.fs = j.opts.FS; j.fs == nil {
		var err error
		if j.fs, err = vfs.Make(dir); err != nil {
			return nil, j.failure("make", err)
		}
	}
	if err := j.open(); err != nil {
		j.end()
		return nil, err
	}
	return j, nil
}

// Hold takes the journal of a directory for this process, as Open does, and leaves
// what it holds alone: for a process that writes none, and must not run beside one
// on the same state. What it returns gives it back. [ErrInUse] where another process
// has it.
func Hold(dir string) (io.Closer, error) {
	j := &Journal{dir: dir}
	j.idle = sync.NewCond(&j.mu)
	var err error
	if j.fs, err = vfs.Make(dir); err != nil {
		return nil, j.failure("make", err)
	}
	if err := j.hold(); err != nil {
		j.end()
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
	return j.failure("open", j.resume())
}

// resume opens the last segment for writing. What it has, and its name, may be
// of a process that was killed before its sync: now it is durable.
func (j *Journal) resume() (err error) {
	if j.file, err = j.fs.OpenFile(segmentName(j.segments[len(j.segments)-1].first), os.O_RDWR, 0); err != nil {
		return err
	}
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	j.room = info.Size()
	if err := j.file.Sync(); err != nil {
		return err
	}
	return j.fs.SyncDir(".")
}

// hold takes the journal for this process.
func (j *Journal) hold() (err error) {
	if j.lock, err = vfs.Create(j.fs, lockName, 0); err != nil {
		return j.failure("lock", err)
	}
	if err := j.lock.Lock(); errors.Is(err, vfs.ErrLocked) {
		return poolkeeper.Errorf(ErrInUse, "the journal in %s is in use%s", j.dir, j.holder()).
			WithHint("stop the other process, or give this one a state directory of its own")
	} else if err != nil {
		return j.failure("lock", err)
	}
	// For those who find it taken. A full disk is no reason not to open.
	if j.lock.Truncate(0) == nil {
		j.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return nil
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

// Close ends the journal after the appends under way. Later calls fail with
// [poolkeeper.ErrClosed], and so do reads under way; closing twice is no error.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		for !j.ended {
			j.idle.Wait()
		}
		return nil
	}
	j.closed = true
	for j.writing {
		j.idle.Wait()
	}
	j.mu.Unlock()
	j.trim.Lock()
	j.end()
	j.trim.Unlock()
	j.mu.Lock()
	j.ended = true
	j.idle.Broadcast()
	return nil
}

func (j *Journal) end() {
	if j.file != nil {
		j.file.Close()
	}
	if j.lock != nil {
		j.lock.Close() // and with it the lock
	}
	j.fs.Close()
}
