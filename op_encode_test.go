package poolkeeper_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestDecodeTwice: an op or a key that says something twice is none, however the
// name of the field is written.
func TestDecodeTwice(t *testing.T) {
	for _, text := range []string{
		`{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1,"n":2}`,
		`{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1,"N":2}`,
		`{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1,"\u006e":2}`,
		`{"kind":"usage","key":{"kind":"pool","type":"t","type":"u"},"id":"a","n":1}`,
		`{"kind":"usage","key":{"kind":"pool","type":"t"},"key":{"kind":"pool","type":"t"},"id":"a","n":1}`,
		`{"kind":"pool.replace","key":{"kind":"pool","type":"t"},"providers":[{"id":"a","id":"b","definition":"e30="}]}`,
		`{"kind":"provider.put","key":{"kind":"pool","type":"t"},"id":"a","data":"e30=","state":{"fields":{"usageCount":"1","usageCount":"2"}}}`,
	} {
		if _, err := poolkeeper.DecodeOp([]byte(text)); !errors.Is(err, poolkeeper.ErrInvalid) || !strings.Contains(err.Error(), "a field stands twice") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := poolkeeper.DecodeKey([]byte(`{"kind":"config","kind":"pools"}`)); !errors.Is(err, poolkeeper.ErrInvalid) {
		t.Errorf("key: %v", err)
	}
}
