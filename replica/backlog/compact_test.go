package backlog

import (
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// An op that is set aside while the journal is written anew is not lost with the part
// that is given up.
func TestSetAsideWhileWrittenAnew(t *testing.T) {
	dir := t.TempDir()
	opts := &Options{SegmentBytes: 4 << 10}
	b := opened(t, dir, opts)
	n := b.must(t, document("one.json", `{"n":1}`))
	for range 200 { // what is of no use any more
		if err := b.Resolve([]uint64{b.must(t, document("d.json", `{"filler":"filler"}`))}, []poolkeeper.Result{ok}); err != nil {
			t.Fatal(err)
		}
	}
	c, first := b.copying(), b.journal.First()
	if err := b.Resolve([]uint64{n}, []poolkeeper.Result{{Err: poolkeeper.ErrConflict}}); err != nil {
		t.Fatal(err)
	}
	if err := c.finish(); err != nil || b.journal.First() == first {
		t.Fatalf("nothing was given up: %v", err)
	}
	b.Close()
	if aside := opened(t, dir, opts).Aside(); len(aside) != 1 || aside[0].Entry != n || string(aside[0].Op.Data) != `{"n":1}` {
		t.Errorf("set aside are %+v", aside)
	}
}
