package journal

import (
	"bytes"
	"encoding/binary"
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
	due   uint64 // the sequence that its header says was due
	fault string // what is wrong behind the first size bytes; empty where nothing is
	// torn says that nothing whole comes after the fault, as it is where the
	// last write was cut short.
	torn bool
	// next is a sequence that no record of these bytes can have, even where they
	// are damaged.
	next uint64
}

// scanSegment reads the bytes of a segment whose name says that it begins with
// first, and calls fn, where it is not nil, for each record.
func scanSegment(b []byte, first uint64, fn func(seq uint64, data []byte) error) (scan, error) {
	s := scan{segment: segment{first: first, end: first}, due: first, next: first}
	h, ok := parseHeader(b)
	if !ok || h.first != first {
		s.fault = "its header is damaged"
		if ok {
			s.fault = fmt.Sprintf("its header says %016x, not what its name says", h.first)
		}
		if ok {
			s.judge(b, 0)
			s.torn = false
		} else {
			s.judge(b, first-1)
		}
		return s, nil
	}
	s.due, s.size = h.due, headerSize
	for s.size < int64(len(b)) {
		rest := b[s.size:]
		f, fault := parseFrame(rest)
		switch {
		case fault != "" && isZero(rest):
			s.next = s.end
			return s, nil // room for the next frames
		case fault != "":
			s.fault = fault
			s.judge(rest, s.end)
			return s, nil
		case f.first != s.end:
			s.fault = fmt.Sprintf("a frame begins with record %d, where %d is due", f.first, s.end)
			s.judge(rest, 0)
			return s, nil
		}
		if fn != nil {
			if err := f.each(fn); err != nil {
				return s, err
			}
		}
		s.end += uint64(f.count)
		s.size += int64(f.size)
	}
	s.next = s.end
	return s, nil
}

// judge looks at the bytes from a fault on. Only one write is under way at a
// time: if it is this one that was cut short, then nothing whole follows.
func (s *scan) judge(b []byte, due uint64) {
	whole, end, after := findFrames(b, due)
	s.torn = !whole
	// Of what cannot be read, each record had at least one byte.
	s.next = max(s.end, end) + uint64(len(b)-after)
}

// findFrames looks for whole frames anywhere in some bytes that can come after a
// record: with a sequence above due, and not further above than that there can
// have been so many records between. It returns the sequence after the last one,
// and where that ends. Where due is 0 all sequences count.
func findFrames(b []byte, due uint64) (whole bool, end uint64, after int) {
	budget := 64 * (len(b) + 1<<20)
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(frameMagic))
		if i < 0 || at+i+frameHeader > len(b) {
			return whole, end, after
		}
		at += i
		first := binary.LittleEndian.Uint64(b[at+8:])
		if first <= due || due > 0 && first-due > uint64(at) {
			at++
			continue
		}
		// What is made to look like frames must not keep us for hours.
		if budget -= int(min(int64(binary.LittleEndian.Uint32(b[at+4:])), int64(len(b)-at))); budget < 0 {
			return true, end, after
		}
		f, fault := parseFrame(b[at:])
		if fault != "" {
			at++
			continue
		}
		at += f.size
		whole, end, after = true, f.first+uint64(f.count), at
	}
}

func isZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

var zeros [4096]byte

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
		if s.fault != "" && (!last || !s.torn) {
			return nil, 0, &CorruptError{dir, name, s.size, s.fault}
		}
		if i > 0 && s.due != segments[i-1].end {
			return nil, 0, &CorruptError{dir, name, 0, gapFault(s.due, segments[i-1].end)}
		}
		if s.fault != "" {
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

func gapFault(due, end uint64) string {
	return fmt.Sprintf("it goes on with record %d, where %d is due", due, end)
}

// create makes an empty segment, durably. Where it fails there may be one, or a
// part of it.
func create(fsys vfs.FS, h header) (vfs.File, error) {
	name := segmentName(h.first)
	f, err := vfs.Create(fsys, name, os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(appendHeader(nil, h), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = fsys.SyncDir(".")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
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
		if _, err := f.WriteAt(appendHeader(nil, header{first, first}), 0); err != nil {
			return err
		}
	}
	return f.Sync()
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
