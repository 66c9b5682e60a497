package transfer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
	"github.com/poolkeeper/poolkeeper/transfer"
)

// places are what the error about a broken fixture must name, beside the file.
var places = map[string]string{
	"config-empty-file": "1:1", "config-pools-path-elsewhere": "data/other_pools.json", "config-top-array": "1:1",
	"config-trailing-comma": "4:1", "pool-is-null": "/openai-custom is null", "pool-is-object": "is an object",
	"pools-comments": "2:3", "pools-depth-20000": "nested too deeply", "pools-empty-file": "the file is empty", "pools-html": "1:1",
	"pools-is-directory": "directory", "pools-top-array": "1:1", "pools-top-null": "1:1", "pools-top-string": "1:1",
	"pools-trailing-garbage": "expected end of document", "pools-truncated": "unexpected end", "provider-not-object": "/openai-custom/0 is null",
	"pwd-is-directory": "directory", "configs-is-file": "not a directory", "no-configs-dir": "no such file",
}

func TestVerdicts(t *testing.T) {
	for name, raw := range dirtest.Expected[map[string]any](t, "broken") {
		want, ok := raw.(map[string]any)
		if !ok || name == "unreadable" { // see TestUnreadable
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := dirtest.Configs("broken/" + name)
			st := newStore(t)
			res, err := transfer.Import(context.Background(), st, dir, nil)
			switch want["recommended_import"] {
			case "refuse":
				if err == nil {
					t.Fatal("it was imported")
				}
				if place := places[name]; place == "" || !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), filepath.Join(name, "configs")) {
					t.Errorf("the error does not name the file and %q: %v", place, err)
				}
				if _, err := st.Snapshot(context.Background()); !errors.Is(err, poolkeeper.ErrUninitialized) {
					t.Errorf("something was written: %v", err)
				}
			case "warn":
				if err != nil {
					t.Fatal(err)
				}
				if len(res.Report.Warnings) == 0 {
					t.Error("there is no warning")
				}
			case "ok":
				if err != nil {
					t.Fatal(err)
				}
				if len(res.Report.Warnings) != 0 {
					t.Errorf("warnings: %v", res.Report.Warnings)
				}
			default:
				t.Fatalf("unknown verdict %v", want)
			}
			if err != nil {
				return
			}
			snap, err := st.Snapshot(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			out, _ := write(t, snap)
			got := dirtest.Tree(t, filepath.Dir(out))
			for p, hash := range dirtest.Manifest(t, "broken/"+name) {
				switch {
				case p == "configs/provider_pools.json":
				case strings.HasPrefix(hash, "link:"):
					if data, _ := os.ReadFile(filepath.Join(dirtest.Fixtures, "broken", name, p)); got[p] != string(data) {
						t.Errorf("%s has not the content of what it links to", p)
					}
				case dirtest.Sum(got[p]) != hash:
					t.Errorf("%s differs", p)
				}
			}
			if _, err := transfer.Verify(context.Background(), st, out, nil); err != nil {
				t.Error(err)
			}
		})
	}
}
