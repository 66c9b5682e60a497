package redisstore

import (
	"reflect"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// Whatever a record holds, reading it ends, and what can be read is what was
// written.
func FuzzFrozenRequest(f *testing.F) {
	op := poolkeeper.Op{ID: "a"}
	w := &work{lane: &lane{key: "t:pools:x"}, sender: &sender{writer: "w", seq: 4, rowOf: []int{0, -1}},
		batch: &batch{kind: usageBatch, calls: []*call{{op: &op, id: "a"}, {op: &op, id: "b"}}}, open: []int{0, 1},
		request: &request{script: usageScript, keys: []string{"k"}, args: []string{"", "1", "\xff\x00"}}}
	data := w.encodeRequest("e")
	got, err := decodeRequest(data, 2)
	want := &frozenRequest{key: "t:pools:x", writer: "w", epoch: "e", script: "usage", seq: 5, kind: usageBatch,
		keys: []string{"k"}, args: []string{"", "1", "\xff\x00"}, ids: []string{"", "b"}, rows: []int{0, -1}}
	if err != nil || !reflect.DeepEqual(got, want) {
		f.Fatalf("read %+v, %v", got, err)
	}
	f.Add(data, 2)
	f.Add(data[:len(data)-1], 2)
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, 1)
	f.Fuzz(func(t *testing.T, data []byte, ops int) {
		r, err := decodeRequest(data, max(0, min(ops, 1000)))
		if err == nil && (r.seq == 0 || r.writer == "") {
			t.Errorf("read %+v", r)
		}
	})
}
