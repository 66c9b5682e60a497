package poolkeeper

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// A JSON Patch goes through the whole document once for each operation: what would
// take minutes is refused before it begins.
func TestPatchOfTooMuchWork(t *testing.T) {
	doc := []byte(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`)
	patch := func(n int) *Op {
		one := []byte(`{"op":"test","path":"/b","value":1},`)
		return &Op{Kind: OpPatch, Key: ConfigKey, Patch: JSONPatch, Data: append(append([]byte("["), bytes.TrimSuffix(bytes.Repeat(one, n), []byte(","))...), ']')}
	}
	if _, err := patch(300).PatchedValue(t.Context(), doc); !errors.Is(err, ErrTooLarge) {
		t.Errorf("300 operations on 1 MiB: %v", err)
	}
	if _, err := patch(200).PatchedValue(t.Context(), doc); errors.Is(err, ErrTooLarge) {
		t.Errorf("200 operations on 1 MiB: %v", err)
	}
	if _, err := patch(300).PatchedValue(t.Context(), []byte(`{}`)); errors.Is(err, ErrTooLarge) {
		t.Errorf("300 operations on 2 bytes: %v", err)
	}
}

// An ending context ends after it was asked so many times.
type ending struct {
	context.Context
	left int
}

func (e *ending) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

// A JSON Patch whose caller is gone goes no further.
func TestPatchEndsWithItsContext(t *testing.T) {
	const steps = 20
	op := &Op{Kind: OpPatch, Key: ConfigKey, Patch: JSONPatch, Data: []byte("[" + strings.TrimSuffix(strings.Repeat(`{"op":"add","path":"/a/-","value":1},`, steps), ",") + "]")}
	for left := range steps {
		ctx := &ending{t.Context(), left}
		if next, err := op.PatchedValue(ctx, []byte(`{"a":[]}`)); err != context.Canceled || next != nil || ctx.left != -1 {
			t.Errorf("ended at operation %d: %s, %v; asked %d times more", left, next, err, -1-ctx.left)
		}
	}
	if next, err := op.PatchedValue(&ending{t.Context(), steps}, []byte(`{"a":[]}`)); err != nil || bytes.Count(next, []byte("1")) != steps {
		t.Errorf("%s, %v", next, err)
	}
}
