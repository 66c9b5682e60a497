package filestore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"

	"github.com/poolkeeper/poolkeeper/memstore"
)

// A section of what was counted under idempotency keys begins with a line of
// JSON. Then come the records, of one length each, integers big-endian:
//
//	hash of the key (16) · hash of the op (8) · count (8) · end of the key (8)
const (
	countedWord = "counted "
	countedSize = 16 + 8 + 8 + 8
)

type countedHead struct {
	First   uint64                    `json:"first"`
	Reached []memstore.CountedReached `json:"reached,omitempty"`
}

// encodeCounted makes the sections of what was counted. A chunk that has grown no
// longer has its section already.
func encodeCounted(c *memstore.Counted, before *base, add func([]byte) string) map[uint64]string {
	names := make(map[uint64]string, len(c.Chunks))
	var had *memstore.Counted
	if before != nil && before.sections != nil {
		had = &before.image.Counted
	}
	for i := range c.Chunks {
		chunk := &c.Chunks[i]
		if had != nil && slices.ContainsFunc(had.Chunks, func(old memstore.CountedRecords) bool {
			return old.First == chunk.First && len(old.List) == len(chunk.List)
		}) {
			names[chunk.First] = before.sections.counted[chunk.First]
			continue
		}
		head, _ := json.Marshal(countedHead{chunk.First, chunk.Reached}) // numbers and strings always marshal
		data := make([]byte, 0, len(countedWord)+len(head)+1+len(chunk.List)*countedSize)
		data = append(append(append(data, countedWord...), head...), '\n')
		for j := range chunk.List {
			r := &chunk.List[j]
			data = append(append(data, r.Key[:]...), r.Op[:]...)
			data = binary.BigEndian.AppendUint64(data, uint64(r.Count))
			data = binary.BigEndian.AppendUint64(data, uint64(r.Until))
		}
		names[chunk.First] = add(data)
	}
	return names
}

func isCounted(data []byte) bool { return bytes.HasPrefix(data, []byte(countedWord)) }

func decodeCounted(image *memstore.Image, data []byte) error {
	line, rest, ok := bytes.Cut(data[len(countedWord):], []byte("\n"))
	var head countedHead
	if err := json.Unmarshal(line, &head); !ok || err != nil || len(rest)%countedSize != 0 {
		return errors.New("what was counted under idempotency keys cannot be read")
	}
	chunk := memstore.CountedRecords{First: head.First, Reached: head.Reached, List: make([]memstore.CountedRecord, 0, len(rest)/countedSize)}
	for ; len(rest) > 0; rest = rest[countedSize:] {
		var r memstore.CountedRecord
		copy(r.Key[:], rest)
		copy(r.Op[:], rest[16:])
		r.Count = int64(binary.BigEndian.Uint64(rest[24:]))
		r.Until = int64(binary.BigEndian.Uint64(rest[32:]))
		chunk.List = append(chunk.List, r)
	}
	image.Counted.Chunks = append(image.Counted.Chunks, chunk)
	return nil
}
