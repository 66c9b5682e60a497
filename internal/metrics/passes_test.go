package metrics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A filed backend has files, and sets ops aside.
type filed struct {
	*memstore.Store
	flushed int
	decided []string
}

func (f *filed) Pending(context.Context) (*poolkeeper.Pending, error) {
	return &poolkeeper.Pending{Queue: poolkeeper.QueueInfo{Ops: 7}}, nil
}

func (f *filed) RetryAside(_ context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	f.decided = append(f.decided, fmt.Sprint("retry ", pick))
	return poolkeeper.Decided{Changed: 1}, nil
}

func (f *filed) DiscardAside(_ context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	f.decided = append(f.decided, fmt.Sprint("discard ", pick))
	return poolkeeper.Decided{Changed: 2}, nil
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
	k := b.(poolkeeper.AsideKeeper)
	if p, err := k.Pending(ctx); err != nil || p.Queue.Ops != 7 {
		t.Errorf("pending: %+v, %v", p, err)
	}
	retried, err1 := k.RetryAside(ctx, poolkeeper.Pick{Entries: []uint64{3}})
	given, err2 := k.DiscardAside(ctx, poolkeeper.Pick{All: true})
	if retried.Changed != 1 || given.Changed != 2 || err1 != nil || err2 != nil || fmt.Sprint(inner.decided) != "[retry {[3] false} discard {[] true}]" {
		t.Errorf("%v, %v, %v: %q", retried, given, errors.Join(err1, err2), inner.decided)
	}
	// One that can do neither has nothing to mark and nothing to wait for.
	bare := New("test").Wrap(struct{ poolkeeper.Backend }{inner})
	if err := bare.(poolkeeper.ImportMarker).MarkImport(ctx, "other", true); err != nil {
		t.Error(err)
	}
	if err := bare.(poolkeeper.Flusher).Flush(ctx); err != nil || inner.flushed != 1 {
		t.Error("it was flushed")
	}
	k = bare.(poolkeeper.AsideKeeper)
	_, err := k.Pending(ctx)
	_, err1 = k.RetryAside(ctx, poolkeeper.Pick{All: true})
	_, err2 = k.DiscardAside(ctx, poolkeeper.Pick{All: true})
	for _, err := range []error{err, err1, err2} {
		if !errors.Is(err, poolkeeper.ErrForbidden) || !strings.Contains(err.Error(), "this store queues nothing") {
			t.Errorf("without a queue: %v", err)
		}
	}
}
