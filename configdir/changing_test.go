package configdir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A meddler is a context that changes something each time it is asked whether it
// has ended, which a walk does at each directory.
type meddler struct {
	context.Context
	asked  atomic.Int64
	change func(n int64)
}

func (m *meddler) Err() error {
	m.change(m.asked.Add(1))
	return m.Context.Err()
}

// TestGoneWhileRead takes away what a directory has just listed: that is refused
// as a change, and not as something missing.
func TestGoneWhileRead(t *testing.T) {
	for name, gone := range map[string]string{"a file": "b.json", "a directory": "c", "the pools": "provider_pools.json", "a link": "link"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "configs")
			for _, d := range []string{"a", "c"} {
				if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range []string{"b.json", "provider_pools.json", "c/x.json"} {
				if err := os.WriteFile(filepath.Join(dir, f), []byte("{}"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("b.json", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			// The second directory that is read is a, after all was listed.
			ctx := &meddler{Context: t.Context(), change: func(n int64) {
				if n == 2 {
					os.RemoveAll(filepath.Join(dir, gone))
				}
			}}
			snap, _, err := ReadDir(ctx, dir, nil)
			if !errors.Is(err, poolkeeper.ErrConflict) || snap != nil || !strings.Contains(err.Error(), gone) || !strings.Contains(err.Error(), "stop the gateway") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestChangedWhileRead changes a file between its first look and the end of the
// reading.
func TestChangedWhileRead(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p string) error
		ok     bool
	}{
		"not at all": {func(string) error { return nil }, true},
		"read":       {func(p string) error { _, err := os.ReadFile(p); return err }, true},
		"longer":     {func(p string) error { return os.WriteFile(p, []byte("longer than before"), 0o600) }, false},
		"shorter":    {func(p string) error { return os.Truncate(p, 3) }, false},
		"empty":      {func(p string) error { return os.Truncate(p, 0) }, false},
		"in place": {func(p string) error {
			if err := os.WriteFile(p, []byte("after."), 0o600); err != nil {
				return err
			}
			return os.Chtimes(p, time.Time{}, time.Now().Add(time.Hour)) // clocks of file systems can be coarse
		}, false},
		// What is open stays what it was.
		"replaced": {func(p string) error {
			if err := os.WriteFile(p+".new", []byte("another"), 0o600); err != nil {
				return err
			}
			return os.Rename(p+".new", p)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(p, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.change(p); err != nil {
				t.Fatal(err)
			}
			r := &root{given: "configs"}
			data, err := r.readFile(f, info, configFile)
			if c.ok {
				if err != nil || string(data) != "before" {
					t.Errorf("%q, %v", data, err)
				}
				return
			}
			if !errors.Is(err, poolkeeper.ErrConflict) || data != nil || !strings.Contains(err.Error(), "config.json") {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
}
