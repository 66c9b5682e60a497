package poolkeeper

import (
	"bytes"
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
	if _, err := patch(300).PatchedValue(doc); !errors.Is(err, ErrTooLarge) {
		t.Errorf("300 operations on 1 MiB: %v", err)
	}
	if _, err := patch(200).PatchedValue(doc); errors.Is(err, ErrTooLarge) {
		t.Errorf("200 operations on 1 MiB: %v", err)
	}
	if _, err := patch(300).PatchedValue([]byte(`{}`)); errors.Is(err, ErrTooLarge) {
		t.Errorf("300 operations on 2 bytes: %v", err)
	}
}
