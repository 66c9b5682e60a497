package configdir_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/dirtest"
)

// TestWriteLists: each file that is written, replaced or left is named, in a dry
// run as in a real one.
func TestWriteLists(t *testing.T) {
	snap, _ := read(t, dirtest.WriteTree(t, map[string]string{
		"configs/provider_pools.json": "{}", "configs/config.json": "{}", "configs/a/b.txt": "1", "configs/c.txt": "2", "configs/in/d.txt": "3",
	}))
	dir := dirtest.WriteTree(t, map[string]string{
		"configs/config.json": "{ }", "configs/mine/x.txt": "x", "configs/c.txt": "old", "configs/pwd": "p", "configs/real/y.txt": "y",
	})
	before := dirtest.Tree(t, filepath.Dir(dir))
	for _, dryRun := range []bool{true, false} {
		var progress [][2]int
		report, err := configdir.WriteDir(t.Context(), dir, snap, &configdir.WriteOptions{Force: true, DryRun: dryRun, Progress: func(done, total int) { progress = append(progress, [2]int{done, total}) }})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []struct{ got, want []string }{
			{report.Written, []string{"configs/a/b.txt", "configs/in/d.txt", "configs/provider_pools.json"}},
			{report.Replaced, []string{"configs/c.txt", "configs/config.json"}},
			{report.Left, []string{"configs/mine/x.txt", "configs/pwd", "configs/real/y.txt"}},
		} {
			if !slices.Equal(l.got, l.want) {
				t.Errorf("dry run %v: %q, want %q", dryRun, l.got, l.want)
			}
		}
		after := dirtest.Tree(t, filepath.Dir(dir))
		for _, p := range report.Left {
			if after[p] != before[p] {
				t.Errorf("%s was changed", p)
			}
		}
		if dryRun && (len(progress) != 0 || len(after) != len(before)) {
			t.Error("a dry run wrote")
		}
		if !dryRun && !slices.Equal(progress, [][2]int{{1, 5}, {2, 5}, {3, 5}, {4, 5}, {5, 5}}) {
			t.Errorf("progress %v", progress)
		}
	}
}
