package transfer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/transfer"
)

// TestOneChangedByte changes single bytes of every file of a directory: each
// must be noticed, by the name of the file or of the provider.
func TestOneChangedByte(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{"typical", "edge"} {
		t.Run(name, func(t *testing.T) {
			st := imported(t, dirtest.Configs(name))
			dir := dirtest.CopyTree(t, filepath.Join(dirtest.Fixtures, name))
			root := filepath.Dir(dir)
			_, report := read(t, dir)
			for p, data := range dirtest.Tree(t, root) {
				if slices.Contains(report.Transient, p) {
					continue
				}
				changes := 5
				if p == "configs/provider_pools.json" {
					changes = 40
				}
				if testing.Short() {
					changes = 2
				}
				full := filepath.Join(root, filepath.FromSlash(p))
				step := max(1, len(data)/changes)
				for at := 0; at < len(data); at += step {
					pools := p == "configs/provider_pools.json"
					if pools && strings.IndexByte(" \n\r\t", data[at]) >= 0 {
						continue
					}
					changed := []byte(data)
					if changed[at]++; pools && changed[at] == ' ' {
						changed[at]++
					}
					check(t, ctx, st, dir, full, changed, p, at)
				}
				check(t, ctx, st, dir, full, append([]byte(data), '!'), p, len(data))
				if err := os.WriteFile(full, []byte(data), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := transfer.Verify(ctx, st, dir, nil); err != nil {
				t.Errorf("as it was: %v", err)
			}
		})
	}
}

func check(t *testing.T, ctx context.Context, st *poolkeeper.Store, dir, full string, changed []byte, p string, at int) {
	t.Helper()
	if err := os.WriteFile(full, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := transfer.Verify(ctx, st, dir, nil)
	if err == nil {
		t.Errorf("%s: a change of byte %d was not noticed", p, at)
		return
	}
	if !errors.Is(err, poolkeeper.ErrDiffers) {
		// It is no longer something that can be read.
		if !strings.Contains(err.Error(), filepath.Base(p)) {
			t.Errorf("%s: byte %d: the error does not name the file: %v", p, at, err)
		}
		return
	}
	if p == "configs/provider_pools.json" {
		return
	}
	if !slices.ContainsFunc(c.Differences, func(d configdir.Difference) bool {
		return d.Path == p || p == "configs/token-store.json" && strings.HasPrefix(d.What, "session ")
	}) {
		t.Errorf("%s: byte %d: %v", p, at, c.Differences)
	}
}
