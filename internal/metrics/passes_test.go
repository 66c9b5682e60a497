package metrics

import (
	"context"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A filed backend has files.
type filed struct {
	*memstore.Store
	flushed int
}

func (f *filed) Flush(context.Context) error {
	f.flushed++
	return nil
}

// TestBackendPassesOn: what a backend can do beside ops, the layer can.
func TestBackendPassesOn(t *testing.T) {
	ctx := t.Context()
	inner := &filed{Store: memstore.New(nil)}
	if err := inner.Restore(ctx, poolkeeper.NewSnapshot()); err != nil {
		t.Fatal(err)
	}
	b := New("test").Wrap(inner)
	if err := b.(poolkeeper.ImportMarker).MarkImport(ctx, "run", true); err != nil {
		t.Fatal(err)
	}
	if info, err := b.Info(ctx); err != nil || !info.Importing {
		t.Errorf("it is not marked: %+v %v", info, err)
	}
	if err := b.(poolkeeper.Flusher).Flush(ctx); err != nil || inner.flushed != 1 {
		t.Errorf("flushed %d times: %v", inner.flushed, err)
	}
	// One that can do neither has nothing to mark and nothing to wait for.
	bare := New("test").Wrap(struct{ poolkeeper.Backend }{inner})
	if err := bare.(poolkeeper.ImportMarker).MarkImport(ctx, "other", true); err != nil {
		t.Error(err)
	}
	if err := bare.(poolkeeper.Flusher).Flush(ctx); err != nil || inner.flushed != 1 {
		t.Error("it was flushed")
	}
}
