package replica_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A slowPool is a store whose pool of one type is loaded only when it is let, and
// the types alone not before the end, once it holds them back.
type slowPool struct {
	*memstore.Store
	typ      string
	holds    atomic.Bool
	let, end chan struct{}
}

func (s *slowPool) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	snap, err := s.Store.Load(ctx, keys...)
	wait := s.let
	switch {
	case !s.holds.Load():
		return snap, err
	case keys[0] == poolkeeper.TypesKey:
		wait = s.end
	case keys[0] != poolkeeper.PoolKey(s.typ):
		return snap, err
	}
	select {
	case <-wait:
	case <-ctx.Done():
	}
	return snap, err
}

// TestNewTypesInOrder: pools that are added together are in the order in which they
// were added once that is answered, whichever of them is in the copy first.
func TestNewTypesInOrder(t *testing.T) {
	source := &slowPool{Store: memstore.New(nil), typ: "t", let: make(chan struct{}), end: make(chan struct{})}
	r := over(t, source, nil)
	defer r.Close()
	defer close(source.end)
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	if err := r.Restore(t.Context(), &poolkeeper.Snapshot{}); err != nil {
		t.Fatal(err)
	}
	until("there is no copy", func() bool { return r.View() != nil })
	source.holds.Store(true)
	done := make(chan []poolkeeper.Result)
	var ops []poolkeeper.Op
	for _, typ := range []string{"t", "u"} {
		ops = append(ops, poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: poolkeeper.PoolKey(typ), ID: "a", Data: []byte(`{"uuid":"a"}`)})
	}
	go func() { done <- r.Apply(context.Background(), ops...) }()
	until("the pool that nothing holds is not in the copy", func() bool { return r.View().Pool("u") != nil })
	close(source.let)
	for i, res := range <-done {
		if res.Err != nil {
			t.Fatalf("op %d: %v", i, res.Err)
		}
	}
	if got := r.View().Types(); !slices.Equal(got, []string{"t", "u"}) {
		t.Errorf("the types are %q", got)
	}
}
