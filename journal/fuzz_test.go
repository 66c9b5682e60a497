package journal

import (
	"bytes"
	"testing"
)

// Any bytes are records, or a fault at an offset; what was read and is written
// again is the same.
func FuzzSegment(f *testing.F) {
	whole := appendHeader(nil, 7)
	for i, records := range [][]string{{"a", ""}, {"bcd"}} {
		frame := beginFrame(nil)
		for _, r := range records {
			frame = appendRecord(frame, []byte(r))
		}
		endFrame(frame, uint64(7+2*i), len(records))
		whole = append(whole, frame...)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), make([]byte, 40)...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		first, ok := parseHeader(b)
		if !ok {
			first = 1
		}
		var records [][]byte
		seqs := first
		s, err := scanSegment(b, first, func(seq uint64, data []byte) error {
			if seq != seqs {
				t.Fatalf("record %d, where %d is due", seq, seqs)
			}
			seqs++
			records = append(records, data)
			return nil
		})
		if err != nil || s.size > int64(len(b)) || s.end != seqs || s.fault == "" && s.size != int64(len(b)) {
			t.Fatalf("%+v, %v", s, err)
		}
		again := appendHeader(nil, first)
		for i, r := range records {
			frame := appendRecord(beginFrame(nil), r)
			endFrame(frame, first+uint64(i), 1)
			again = append(again, frame...)
		}
		i := 0
		s2, _ := scanSegment(again, first, func(_ uint64, data []byte) error {
			if !bytes.Equal(data, records[i]) {
				t.Fatalf("record %d changed", i)
			}
			i++
			return nil
		})
		if s2.fault != "" || i != len(records) || s2.end != s.end {
			t.Fatalf("written again: %+v with %d records, want %d", s2, i, len(records))
		}
	})
}
