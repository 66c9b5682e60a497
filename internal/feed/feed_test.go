package feed

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

func TestOrder(t *testing.T) {
	q := New[int](10, 100)
	for i := range 10 {
		q.Put(i, 10)
	}
	got, err := q.Take(t.Context())
	if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; err != nil || !slices.Equal(got, want) {
		t.Errorf("took %v, %v", got, err)
	}
	q.Put(10, 100) // there is room again
	if got, err := q.Take(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("took %v, %v", got, err)
	}
}

// A full queue ends, and what is left of it is not given out: it has a gap.
func TestFull(t *testing.T) {
	for name, q := range map[string]*Queue[int]{"items": New[int](2, 100), "bytes": New[int](10, 25)} {
		for i := range 3 {
			q.Put(i, 10)
		}
		if got, err := q.Take(t.Context()); !errors.Is(err, poolkeeper.ErrUnavailable) {
			t.Errorf("%s: took %v, %v", name, got, err)
		}
		q.Put(4, 1)
		if got, err := q.Take(t.Context()); !errors.Is(err, poolkeeper.ErrUnavailable) {
			t.Errorf("%s: took %v, %v after the end", name, got, err)
		}
	}
}

// What was put before the end is taken first; the first end counts.
func TestEnd(t *testing.T) {
	q := New[int](10, 100)
	q.Put(1, 1)
	q.End(poolkeeper.ErrLost)
	q.End(poolkeeper.ErrClosed)
	q.Put(2, 1)
	if got, err := q.Take(t.Context()); err != nil || !slices.Equal(got, []int{1}) {
		t.Errorf("took %v, %v", got, err)
	}
	if _, err := q.Take(t.Context()); !errors.Is(err, poolkeeper.ErrLost) {
		t.Errorf("ended with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Take(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestManyMakers(t *testing.T) {
	const makers, each = 8, 500
	q := New[int](makers*each, makers*each)
	var wg sync.WaitGroup
	for m := range makers {
		wg.Go(func() {
			for i := range each {
				q.Put(m*each+i, 1)
			}
		})
	}
	go func() {
		wg.Wait()
		q.End(poolkeeper.ErrClosed)
	}()
	var all []int
	last := map[int]int{}
	for {
		got, err := q.Take(t.Context())
		if err != nil {
			break
		}
		for _, v := range got {
			if prev, ok := last[v/each]; ok && v <= prev {
				t.Fatalf("%d after %d", v, prev)
			}
			last[v/each] = v
		}
		all = append(all, got...)
	}
	if len(all) != makers*each {
		t.Errorf("took %d of %d", len(all), makers*each)
	}
}
