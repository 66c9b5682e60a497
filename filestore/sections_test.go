package filestore

import (
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// TestSectionsThatStay: of what a checkpoint has already nothing is encoded again.
func TestSectionsThatStay(t *testing.T) {
	core := memstore.New(nil)
	if err := core.Restore(t.Context(), poolkeeper.NewSnapshot()); err != nil {
		t.Fatal(err)
	}
	commit := func(op poolkeeper.Op) {
		t.Helper()
		if res := core.Commit(&op, 1, "w", nil); res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	use := func(key string) {
		commit(poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: "a", N: 1, IdempotencyKey: key})
	}
	encode := func(before *base) (*base, map[string][]byte) {
		t.Helper()
		image, err := core.Image(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fresh, sections, err := encodeImage(image, before)
		if err != nil {
			t.Fatal(err)
		}
		return &base{image: image, sections: sections}, fresh
	}
	for _, typ := range []string{"t", "u"} {
		commit(poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: poolkeeper.PoolKey(typ), ID: "a", Data: []byte(`{"uuid":"a"}`)})
	}
	for i := range memstore.CountedChunk + 5 {
		use(strconv.Itoa(i))
	}
	first, fresh := encode(nil)
	if len(fresh) != 5 { // what is in no other, two pools, two chunks
		t.Fatalf("%d sections", len(fresh))
	}
	use("more")
	second, fresh := encode(first)
	if len(fresh) != 3 || len(second.sections.list()) != 5 {
		t.Errorf("%d sections of %d are made again", len(fresh), len(second.sections.list()))
	}
}
