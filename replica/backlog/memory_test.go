package backlog

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// TestMemoryIsGone: what ends with a backlog in memory is said, by number and not by
// content; what is on a disk, or was settled, is not.
func TestMemoryIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		dir    string
		ops    []poolkeeper.Op
		become error // of the first one
		settle bool  // all of them
		want   map[string]any
	}{
		"waiting":   {ops: []poolkeeper.Op{use("secret", "a", 1), failed("secret", "b"), use("other", "a", 1), document("secret", `{"a":"secret"}`)}, want: map[string]any{"ops": 4., "keys": 3., "pools": 2.}},
		"set aside": {ops: []poolkeeper.Op{failed("secret", "a")}, settle: true, become: poolkeeper.ErrNotFound, want: map[string]any{"ops": 0., "keys": 0., "pools": 0., "aside": 1.}},
		"settled":   {ops: []poolkeeper.Op{failed("secret", "a")}, settle: true},
		"on a disk": {dir: t.TempDir(), ops: []poolkeeper.Op{failed("secret", "a")}},
		"empty":     {},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			b := opened(t, c.dir, &Options{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			for _, op := range c.ops {
				if n := b.must(t, op); c.settle {
					if err := b.Resolve([]uint64{n}, []poolkeeper.Result{{Status: poolkeeper.Applied, Err: c.become}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			log.Reset() // of what was said before
			if err := errors.Join(b.Close(), b.Close()); err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				if log.Len() > 0 {
					t.Errorf("it says %s", log.String())
				}
				return
			}
			var said map[string]any
			if err := json.Unmarshal([]byte(log.String()), &said); err != nil {
				t.Fatalf("not one line: %v: %s", err, log.String())
			}
			for _, attr := range []string{"ops", "keys", "pools", "aside"} {
				if said[attr] != c.want[attr] {
					t.Errorf("%s is %v, want %v", attr, said[attr], c.want[attr])
				}
			}
			if hint, _ := said["hint"].(string); said["level"] != "WARN" || !strings.Contains(hint, "state directory") || strings.Contains(log.String(), "secret") {
				t.Errorf("it says %s", log.String())
			}
		})
	}
}
