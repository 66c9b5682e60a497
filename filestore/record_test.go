package filestore

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// FuzzRecord: what can be read as a record of the journal is written in one way,
// which is read as the same.
func FuzzRecord(f *testing.F) {
	op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: "a", At: 1, N: 3}
	data, err := encodeDecision(&op, 1_700_000_000_000, "0123456789abcdef")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(encodeSeen(map[string]string{"configs/config.json": "00", "": ""}))
	f.Add(encodeMark(importMark{"run", true}))
	write := func(t *testing.T, r record) []byte {
		switch {
		case r.decision != nil:
			b, err := encodeDecision(&r.decision.op, r.decision.at, r.decision.writer)
			if err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
			return b
		case r.mark != nil:
			return encodeMark(*r.mark)
		}
		return encodeSeen(r.seen)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil {
			return
		}
		once := write(t, r)
		again, err := decodeRecord(once)
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%q is read as something else, %v", once, err)
		}
		if twice := write(t, again); !bytes.Equal(once, twice) {
			t.Fatalf("written again it is another record: %q, %q", once, twice)
		}
	})
}
