package poolkeeper_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// FuzzDecodeOp: what can be read as an op is written in one way, which is read as
// the same op.
func FuzzDecodeOp(f *testing.F) {
	text := "a \"message\" \u2028"
	state := &poolkeeper.State{DecidedAt: 7}
	state.Set(poolkeeper.UsageCount, "9007199254740993")
	state.Set(poolkeeper.LastUsed, poolkeeper.Absent)
	pool := poolkeeper.PoolKey("a{b}c")
	for _, op := range []poolkeeper.Op{
		{Kind: poolkeeper.OpUsage, Key: pool, ID: "x:1 y", At: 1, N: 3, IdempotencyKey: "k"},
		{Kind: poolkeeper.OpError, Key: pool, ID: "x", At: 1, Threshold: 10, RecoverAt: 5, Message: &text},
		{Kind: poolkeeper.OpRefresh, Key: pool, ID: "x", Phase: poolkeeper.RefreshFailed},
		{Kind: poolkeeper.OpPutProvider, Key: pool, ID: "x", Data: []byte(`{"uuid":"x"}`), State: state},
		{Kind: poolkeeper.OpReplacePool, Key: pool, If: poolkeeper.IfPresent,
			Providers: []poolkeeper.ProviderRecord{{ID: "x", Definition: []byte(`{"uuid":"x"}`), State: state}}},
		{Kind: poolkeeper.OpReorderPool, Key: pool, Order: []string{"b", "a"}},
		{Kind: poolkeeper.OpPatch, Key: poolkeeper.ConfigKey, Patch: poolkeeper.JSONPatch, Data: []byte(`[]`)},
		{Kind: poolkeeper.OpPut, Key: poolkeeper.FileKey("configs/a"), Data: []byte("\xff\x00")},
	} {
		data, err := poolkeeper.EncodeOp(&op)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		op, err := poolkeeper.DecodeOp(data)
		if err != nil {
			return
		}
		// An empty list is none.
		if len(op.Order) == 0 {
			op.Order = nil
		}
		if len(op.Providers) == 0 {
			op.Providers = nil
		}
		if len(op.Data) == 0 {
			op.Data = nil
		}
		once, err := poolkeeper.EncodeOp(&op)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := poolkeeper.DecodeOp(once)
		if err != nil || !reflect.DeepEqual(op, again) {
			t.Fatalf("%s is read as another op, %v:\n%+v\n%+v", once, err, op, again)
		}
		if twice, err := poolkeeper.EncodeOp(&again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("written again it is another text, %v:\n%s\n%s", err, once, twice)
		}
	})
}
