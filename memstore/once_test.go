package memstore

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// counting returns a store that remembers few keys, and what counts under one.
func counting(t *testing.T, limit int) (s *Store, use func(key string, n int64) poolkeeper.Result, advance func(time.Duration)) {
	t.Helper()
	s, advance = opened(t)
	s.counted.limit = limit
	add := poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: poolkeeper.PoolKey("t"), ID: "a", Data: []byte(`{"uuid":"a"}`)}
	if res := s.Commit(&add, s.millis(), "w", nil); res.Err != nil {
		t.Fatal(res.Err)
	}
	return s, func(key string, n int64) poolkeeper.Result {
		op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey("t"), ID: "a", N: n, IdempotencyKey: key}
		return s.Commit(&op, s.millis(), "w", nil)
	}, advance
}

// TestCountedIsBounded: beyond the bound the oldest keys are forgotten, and that
// is said; and so are those whose day is over.
func TestCountedIsBounded(t *testing.T) {
	const limit = CountedChunk + 100
	s, use, advance := counting(t, limit)
	told := func() bool {
		info, err := s.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(info.Warnings) == 1 && strings.Contains(info.Warnings[0], strconv.Itoa(limit))
	}
	for i := range limit {
		use(strconv.Itoa(i), 1)
	}
	if told() {
		t.Error("none is forgotten yet")
	}
	for i := range 1000 {
		use(strconv.Itoa(limit+i), 1)
	}
	if n := len(s.counted.where); n > limit || n < limit-2 || !told() {
		t.Errorf("%d are remembered; told: %v", n, told())
	}
	if got := use(strconv.Itoa(limit), 1); got.Count != limit+1 {
		t.Errorf("a recent one: %+v", got)
	}
	if got := use("0", 1); got.Count != limit+1001 {
		t.Errorf("the oldest one: %+v", got)
	}
	if got := use("0", 2); !errors.Is(got.Err, poolkeeper.ErrReused) {
		t.Errorf("another increment: %+v", got)
	}
	advance(poolkeeper.IdempotencyLife * time.Millisecond)
	for i := range limit {
		use("later"+strconv.Itoa(i), 1)
	}
	if n := len(s.counted.where); n > limit || len(s.counted.Chunks) > 3 {
		t.Errorf("%d are remembered, in %d chunks", n, len(s.counted.Chunks))
	}
	if got := use("later5", 1); got.Count != limit+1001+6 {
		t.Errorf("a recent one: %+v", got)
	}
}

// TestCountedAgain: a key that was used again after its day is not forgotten with
// its first use.
func TestCountedAgain(t *testing.T) {
	_, use, advance := counting(t, MaxCounted)
	use("a", 1)
	use("b", 1)
	use("c", 1)
	advance(poolkeeper.IdempotencyLife * time.Millisecond)
	if got := use("c", 1); got.Count != 4 { // forgets a and b
		t.Errorf("%+v", got)
	}
	use("d", 1) // forgets the first c
	if got := use("c", 1); got.Count != 4 {
		t.Errorf("%+v", got)
	}
}

// TestCountedDamaged: an image that lacks some of the chunks is refused.
func TestCountedDamaged(t *testing.T) {
	s, use, _ := counting(t, MaxCounted)
	for i := range 3 * CountedChunk {
		use(strconv.Itoa(i), 1)
	}
	for lacking := range 2 {
		image, err := s.Image(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		image.Counted.Chunks = append(image.Counted.Chunks[:lacking:lacking], image.Counted.Chunks[lacking+1:]...)
		if _, err := FromImage(image, nil); !errors.Is(err, poolkeeper.ErrDamaged) {
			t.Errorf("without chunk %d: %v", lacking, err)
		}
	}
}
