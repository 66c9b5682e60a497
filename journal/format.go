package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"strconv"
	"strings"
)

// A segment begins with a header:
//
//	0   8  magic "PKJRNL01"
//	8   8  sequence of its first record
//	16  8  sequence that was due after the segment before: the same, unless a
//	       repair has left out the records between
//	24  4  CRC-32C of the 24 bytes before
//
// Frames follow, one for each write:
//
//	0   4  magic "PKFR"
//	4   4  length of the payload
//	8   8  sequence of its first record
//	16  4  number of records, at least 1
//	20  4  CRC-32C of the 20 bytes before and of the payload
//
// and the payload: for each record its length as a uvarint, in as few bytes as
// it takes, and its bytes. Numbers are little endian. After the last frame there
// may be zeros.
const (
	segmentMagic = "PKJRNL01"
	headerSize   = 28
	frameMagic   = "PKFR"
	frameHeader  = 24
	suffix       = ".log"

	// maxSequence is more than a journal ever comes to; with it no sum of
	// sequences overflows.
	maxSequence = 1 << 62
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, suffix) }

// segmentFirst reads the name of a segment.
func segmentFirst(name string) (uint64, bool) {
	hex, ok := strings.CutSuffix(name, suffix)
	if !ok || len(hex) != 16 || strings.ToLower(hex) != hex {
		return 0, false
	}
	n, err := strconv.ParseUint(hex, 16, 64)
	return n, err == nil && n > 0
}

// A header says which records a segment has: from first on. Those from due to
// first are lost.
type header struct{ due, first uint64 }

func appendHeader(b []byte, h header) []byte {
	start := len(b)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint64(b, h.first)
	b = binary.LittleEndian.AppendUint64(b, h.due)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func parseHeader(b []byte) (h header, ok bool) {
	if len(b) < headerSize || string(b[:8]) != segmentMagic || binary.LittleEndian.Uint32(b[24:]) != crc32.Checksum(b[:24], castagnoli) {
		return h, false
	}
	h = header{binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[8:])}
	return h, 0 < h.due && h.due <= h.first && h.first <= maxSequence
}

// beginFrame reserves the header of a frame; endFrame fills it in.
func beginFrame(b []byte) []byte {
	var h [frameHeader]byte
	return append(b, h[:]...)
}

func appendRecord(b, record []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(record)))
	return append(b, record...)
}

// uvarintLen is how many bytes a length takes.
func uvarintLen(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }

func endFrame(b []byte, first uint64, count int) {
	copy(b, frameMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-frameHeader))
	binary.LittleEndian.PutUint64(b[8:], first)
	binary.LittleEndian.PutUint32(b[16:], uint32(count))
	binary.LittleEndian.PutUint32(b[20:], frameSum(b))
}

func frameSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:20], castagnoli), castagnoli, b[frameHeader:])
}

// A frame is a whole frame at the beginning of some bytes.
type frame struct {
	first uint64
	count int
	size  int
	data  []byte
}

// What is wrong with a frame.
const (
	faultHeader  = "a frame is cut off in its header"
	faultMagic   = "there is no frame where one should begin"
	faultCut     = "a frame is cut off"
	faultSum     = "the checksum of a frame is wrong"
	faultRecords = "the records of a frame do not fit it"
)

// parseFrame reads a frame, or says what is wrong with it.
func parseFrame(b []byte) (f frame, fault string) {
	if len(b) < frameHeader {
		return f, faultHeader
	}
	if string(b[:4]) != frameMagic {
		return f, faultMagic
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n > int64(len(b)-frameHeader) {
		return f, faultCut
	}
	f.size = frameHeader + int(n)
	b = b[:f.size]
	if binary.LittleEndian.Uint32(b[20:]) != frameSum(b) {
		return f, faultSum
	}
	f.first, f.count, f.data = binary.LittleEndian.Uint64(b[8:]), int(binary.LittleEndian.Uint32(b[16:])), b[frameHeader:]
	if f.count < 1 || f.count > len(f.data) || f.first == 0 || f.first > maxSequence {
		return f, faultRecords
	}
	rest := f.data
	for range f.count {
		if _, ok := nextRecord(&rest); !ok {
			return f, faultRecords
		}
	}
	if len(rest) > 0 {
		return f, faultRecords
	}
	return f, ""
}

// nextRecord takes a record from the front of a payload.
func nextRecord(rest *[]byte) (record []byte, ok bool) {
	size, used := binary.Uvarint(*rest)
	if used <= 0 || size > uint64(len(*rest)-used) || used > 1 && (*rest)[used-1] == 0 {
		return nil, false
	}
	end := used + int(size)
	record, *rest = (*rest)[used:end:end], (*rest)[end:]
	return record, true
}

// each calls fn for the records of a frame.
func (f *frame) each(fn func(seq uint64, data []byte) error) error {
	rest := f.data
	for i := range f.count {
		record, _ := nextRecord(&rest)
		if err := fn(f.first+uint64(i), record); err != nil {
			return err
		}
	}
	return nil
}
