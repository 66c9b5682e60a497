package filestore_test

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/filestore"
)

// TestImportMark: the mark of an unfinished import outlives a kill, from the
// journal and from a checkpoint, until that run has ended.
func TestImportMark(t *testing.T) {
	ctx := t.Context()
	dir := editDir(t)
	s := openAt(t, dir, &filestore.Options{Lag: time.Hour, Poll: time.Hour})
	killed := func(when string, want bool) {
		t.Helper()
		again := openAt(t, copyOf(t, dir), nil)
		info, err := again.Info(ctx)
		if err != nil || !info.Ready || info.Importing != want {
			t.Errorf("%s: %+v, %v", when, info, err)
		}
	}
	mark := func(run string, unfinished bool) {
		t.Helper()
		if err := s.MarkImport(ctx, run, unfinished); err != nil {
			t.Fatal(err)
		}
	}
	flush := func() {
		t.Helper()
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	killed("before", false)
	mark("one", true)
	killed("in the journal", true)
	flush()
	killed("in a checkpoint", true)
	mark("two", false)
	killed("another run has ended", true)
	mark("one", false)
	killed("it has ended", false)
	if info, err := s.Info(ctx); err != nil || info.Importing {
		t.Errorf("%+v, %v", info, err)
	}
	flush()
	killed("its end is in a checkpoint", false)
}
