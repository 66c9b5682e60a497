package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// A segment begins with a header:
//
//	0   8  magic "PKJRNL01"
//	8   8  sequence of its first record
//	16  4  CRC-32C of the 16 bytes before
//
// Frames follow, one for each write:
//
//	0   4  magic "PKFR"
//	4   4  length of the payload
//	8   8  sequence of its first record
//	16  4  number of records, at least 1
//	20  4  CRC-32C of the 20 bytes before and of the payload
//
// and the payload: for each record its length as a uvarint, and its bytes.
// Numbers are little endian.
const (
	segmentMagic = "PKJRNL01"
	headerSize   = 20
	frameMagic   = "PKFR"
	frameHeader  = 24
	suffix       = ".log"
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
	return n, err == nil
}

func appendHeader(b []byte, first uint64) []byte {
	start := len(b)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint64(b, first)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func parseHeader(b []byte) (first uint64, ok bool) {
	if len(b) < headerSize || string(b[:8]) != segmentMagic || binary.LittleEndian.Uint32(b[16:]) != crc32.Checksum(b[:16], castagnoli) {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[8:]), true
}

// beginFrame reserves the header of a frame; endFrame fills it in.
func beginFrame(b []byte) []byte { return append(b, make([]byte, frameHeader)...) }

func appendRecord(b, record []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(record)))
	return append(b, record...)
}

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

// parseFrame reads a frame, or says what is wrong with it.
func parseFrame(b []byte) (f frame, fault string) {
	if len(b) < frameHeader {
		return f, "a frame is cut off in its header"
	}
	if string(b[:4]) != frameMagic {
		return f, "there is no frame where one should begin"
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n > int64(len(b)-frameHeader) {
		return f, "a frame is cut off"
	}
	f.size = frameHeader + int(n)
	b = b[:f.size]
	if binary.LittleEndian.Uint32(b[20:]) != frameSum(b) {
		return f, "the checksum of a frame is wrong"
	}
	f.first, f.count, f.data = binary.LittleEndian.Uint64(b[8:]), int(binary.LittleEndian.Uint32(b[16:])), b[frameHeader:]
	rest := f.data
	for range f.count {
		size, used := binary.Uvarint(rest)
		if used <= 0 || size > uint64(len(rest)-used) {
			return f, "the records of a frame do not fit it"
		}
		rest = rest[used+int(size):]
	}
	if f.count == 0 || len(rest) > 0 || f.first == 0 || f.first+uint64(f.count) < f.first {
		return f, "the records of a frame do not fit it"
	}
	return f, ""
}

// each calls fn for the records of a frame.
func (f *frame) each(fn func(seq uint64, data []byte) error) error {
	rest := f.data
	for i := range f.count {
		size, used := binary.Uvarint(rest)
		end := used + int(size)
		if err := fn(f.first+uint64(i), rest[used:end:end]); err != nil {
			return err
		}
		rest = rest[end:]
	}
	return nil
}
