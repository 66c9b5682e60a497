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
	f.Fuzz(func(t *testing.T, data []byte) {
		d, seen, err := decodeRecord(data)
		if err != nil {
			return
		}
		var once []byte
		if d != nil {
			if once, err = encodeDecision(&d.op, d.at, d.writer); err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
		} else {
			once = encodeSeen(seen)
		}
		d2, seen2, err := decodeRecord(once)
		if err != nil || !reflect.DeepEqual(d, d2) || !reflect.DeepEqual(seen, seen2) {
			t.Fatalf("%q is read as something else, %v", once, err)
		}
		if d != nil {
			if twice, err := encodeDecision(&d2.op, d2.at, d2.writer); err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("written again it is another record, %v", err)
			}
		}
	})
}
