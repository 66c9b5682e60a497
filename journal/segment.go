package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// A segment is one file of the log.
type segment struct {
	first uint64 // sequence of its first record
	end   uint64 // the one after its last
	size  int64  // bytes of it that are whole and durable
}

// A scan is what was found in a segment's bytes.
type scan struct {
	segment
	frames int
	fault  string // what is wrong behind the first size bytes; empty where nothing is
	// torn says that nothing whole comes after the fault, as it is where the
	// last write was cut short.
	torn bool
}

// scanSegment reads the bytes of a segment whose name says that it begins with
// first, and calls fn, where it is not nil, for each record.
func scanSegment(b []byte, first uint64, fn func(seq uint64, data []byte) error) (scan, error) {
	s := scan{segment: segment{first: first, end: first}}
	if got, ok := parseHeader(b); !ok || got != first {
		s.fault = "its header is damaged"
		if ok {
			s.fault = fmt.Sprintf("its header says %016x, not what its name says", got)
		}
		s.torn = !ok && !hasFrame(b)
		return s, nil
	}
	s.size = headerSize
	for s.size < int64(len(b)) {
		f, fault := parseFrame(b[s.size:])
		if fault != "" {
			// Only one write is under way at a time: if this was it, nothing
			// whole can follow.
			s.fault, s.torn = fault, !hasFrame(b[s.size+1:])
			return s, nil
		}
		if f.first != s.end {
			s.fault = fmt.Sprintf("a frame begins with record %d, where %d is due", f.first, s.end)
			return s, nil
		}
		if fn != nil {
			if err := f.each(fn); err != nil {
				return s, err
			}
		}
		s.frames++
		s.end += uint64(f.count)
		s.size += int64(f.size)
	}
	return s, nil
}

// hasFrame reports whether a whole frame begins anywhere in some bytes.
func hasFrame(b []byte) bool {
	for {
		i := bytes.Index(b, []byte(frameMagic))
		if i < 0 {
			return false
		}
		if _, fault := parseFrame(b[i:]); fault == "" {
			return true
		}
		b = b[i+1:]
	}
}

// segmentNames lists the segments of a directory in their order.
func segmentNames(fsys vfs.FS) ([]string, error) {
	entries, err := fsys.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, ok := segmentFirst(e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// readSegment reads a whole segment, or its first bytes where limit is not
// negative.
func readSegment(fsys vfs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if limit < 0 {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		limit = info.Size()
	}
	b := make([]byte, limit)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// load scans all segments and cuts off what the last write left unfinished.
// torn is how many bytes that were.
func load(fsys vfs.FS, dir string) (segments []segment, torn int64, err error) {
	names, err := segmentNames(fsys)
	if err != nil {
		return nil, 0, err
	}
	for i, name := range names {
		b, err := readSegment(fsys, name, -1)
		if err != nil {
			return nil, 0, err
		}
		first, _ := segmentFirst(name)
		s, _ := scanSegment(b, first, nil)
		last := i == len(names)-1
		if i > 0 && first != segments[i-1].end {
			return nil, 0, &CorruptError{dir, name, 0, fmt.Sprintf("it begins with record %d, where %d is due", first, segments[i-1].end)}
		}
		if s.fault != "" {
			if !last || !s.torn {
				return nil, 0, &CorruptError{dir, name, s.size, s.fault}
			}
			torn = int64(len(b)) - s.size
			if err := cut(fsys, name, s.size); err != nil {
				return nil, 0, err
			}
		}
		s.size = max(s.size, headerSize)
		segments = append(segments, s.segment)
	}
	return segments, torn, nil
}

// cut shortens a segment to its whole part. One that has not even a header, as
// its making was cut short, gets it.
func cut(fsys vfs.FS, name string, size int64) error {
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	if size == 0 {
		first, _ := segmentFirst(name)
		if _, err := f.WriteAt(appendHeader(nil, first), 0); err != nil {
			return err
		}
	}
	return f.Sync()
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
