package journal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// segmentOf prints a segment of frames of records.
func segmentOf(h header, frames ...[]string) []byte {
	b := appendHeader(nil, h)
	first := h.first
	for _, records := range frames {
		frame := beginFrame(nil)
		for _, r := range records {
			frame = appendRecord(frame, []byte(r))
		}
		endFrame(frame, first, len(records))
		first += uint64(len(records))
		b = append(b, frame...)
	}
	return b
}

// mend makes the magics, lengths, sequences and checksums of some bytes right,
// so that what lies below them is reached.
func mend(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) < headerSize {
		return b
	}
	copy(b, segmentMagic)
	if binary.LittleEndian.Uint64(b[8:]) == 0 {
		b[8] = 7
	}
	first := binary.LittleEndian.Uint64(b[8:])
	binary.LittleEndian.PutUint64(b[16:], min(max(1, binary.LittleEndian.Uint64(b[16:])), first))
	binary.LittleEndian.PutUint32(b[24:], crc32.Checksum(b[:24], castagnoli))
	for rest := b[headerSize:]; len(rest) > frameHeader && !isZero(rest); {
		n := frameHeader + int(binary.LittleEndian.Uint32(rest[4:]))%(len(rest)-frameHeader) + 1
		count := binary.LittleEndian.Uint32(rest[16:])
		endFrame(rest[:n], first, int(count))
		first += uint64(count)
		rest = rest[n:]
	}
	return b
}

// Any bytes are records, or a fault at an offset; what was read and is written
// again is the same, byte for byte.
func FuzzSegment(f *testing.F) {
	whole := segmentOf(header{7, 7}, []string{"a", ""}, []string{"bcd"})
	long := segmentOf(header{3, 9}, []string{string(make([]byte, 300))}, []string{"x"})
	padded := append(beginFrame(appendHeader(nil, header{1, 1})), 0x81, 0, 'x') // a length in more bytes than it takes
	padded[headerSize+4], padded[headerSize+16] = 2, 1
	for _, b := range [][]byte{
		padded,
		whole, whole[:len(whole)-1], append(bytes.Clone(whole), make([]byte, 40)...), long, {}, segmentOf(header{1, 1}),
		append(bytes.Clone(whole), []byte(frameMagic+frameMagic)...), append(bytes.Clone(whole), long...),
	} {
		f.Add(b, false)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, mended bool) {
		if mended {
			b = mend(b)
		}
		h, ok := parseHeader(b)
		if !ok {
			h = header{1, 1}
		}
		var records []string
		seqs := h.first
		s, err := scanSegment(b, h.first, func(seq uint64, data []byte) error {
			if seq != seqs {
				t.Fatalf("record %d, where %d is due", seq, seqs)
			}
			seqs++
			records = append(records, string(data))
			return nil
		})
		rest := b[min(s.size, int64(len(b))):]
		if err != nil || s.size > int64(len(b)) || s.end != seqs || s.next < s.end || (s.fault == "") != (ok && isZero(rest)) || s.torn && s.fault == "" {
			t.Fatalf("%+v, %v", s, err)
		}
		if !ok {
			return
		}
		again := appendHeader(nil, h)
		for at := int64(headerSize); at < s.size; {
			f, _ := parseFrame(b[at:])
			frame := beginFrame(nil)
			for range f.count {
				frame = appendRecord(frame, []byte(records[0]))
				records = records[1:]
			}
			endFrame(frame, f.first, f.count)
			again = append(again, frame...)
			at += int64(f.size)
		}
		if len(records) > 0 || !bytes.Equal(again, b[:s.size]) {
			t.Fatalf("written again: %q, which was %q", again, b[:s.size])
		}
	})
}

// What was made to look like a million frames ends the search soon, and is taken
// for damage: nothing is cut off that might be whole.
func TestManyFrames(t *testing.T) {
	whole := segmentOf(header{1, 1}, []string{"a"})
	b := bytes.Clone(whole)
	for range 1 << 20 {
		frame := beginFrame(nil)
		endFrame(frame, 3, 1)
		binary.LittleEndian.PutUint32(frame[4:], 1<<24)
		b = append(b, frame...)
	}
	b[len(whole)]++
	s, _ := scanSegment(b, 1, nil)
	if s.end != 2 || s.fault == "" || s.torn {
		t.Errorf("%+v", s)
	}
}

// A name of a segment is its first sequence, written in one way.
func FuzzSegmentName(f *testing.F) {
	for _, name := range []string{segmentName(1), segmentName(1<<64 - 1), segmentName(0), "00000000000000AB.log", "+000000000000001.log", "lock", "0000000000000001.log.damaged"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if first, ok := segmentFirst(name); ok && (first == 0 || segmentName(first) != name) {
			t.Errorf("%q is taken for the segment %d", name, first)
		}
	})
}
