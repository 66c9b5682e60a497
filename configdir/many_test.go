package configdir_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper"
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
		"configs/.poolkeeper-0123456789abcdef.tmp/a/b.txt": "unfinished", "configs/.poolkeeper-0123456789abcdef.tmp/c.txt": "unfinished",
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
			{report.Left, []string{"configs/.poolkeeper-0123456789abcdef.tmp", "configs/mine/x.txt", "configs/pwd", "configs/real/y.txt"}},
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

// TestReadBound: what all files have together is bounded, and the one that is
// too much is named.
func TestReadBound(t *testing.T) {
	dir := dirtest.WriteTree(t, map[string]string{"configs/a.bin": "12345", "configs/b.bin": "12345", "configs/c/d.bin": "1"})
	if _, _, err := configdir.ReadDir(t.Context(), dir, &configdir.ReadOptions{MaxBytes: 11}); err != nil {
		t.Error(err)
	}
	for most, name := range map[int64]string{9: "b.bin", 10: "d.bin"} {
		_, _, err := configdir.ReadDir(t.Context(), dir, &configdir.ReadOptions{MaxBytes: most})
		if !errors.Is(err, poolkeeper.ErrTooLarge) || !strings.Contains(err.Error(), name) {
			t.Errorf("%d bytes: error %v, want ErrTooLarge about %s", most, err, name)
		}
	}
}

// TestReadManyDirectories: what several walkers find together is what one would.
func TestReadManyDirectories(t *testing.T) {
	files := map[string]string{"configs/provider_pools.json": "{}"}
	for i := range 1000 {
		files[fmt.Sprintf("configs/many/%03d/f.txt", i)] = strconv.Itoa(i)
		files[fmt.Sprintf("configs/many/%03d/x.tmp", i)] = ""
	}
	dir := dirtest.WriteTree(t, files)
	snap, report := read(t, dir)
	if report.Files != 1000 || report.Scanned != 2001 || len(report.Transient) != 1000 || !slices.IsSorted(report.Transient) {
		t.Errorf("%d files, %d scanned, %d transient", report.Files, report.Scanned, len(report.Transient))
	}
	for i := range 1000 {
		if d := snap.Values[poolkeeper.FileKey(fmt.Sprintf("configs/many/%03d/f.txt", i))]; string(d.Data) != strconv.Itoa(i) {
			t.Errorf("file %d is %q", i, d.Data)
		}
	}
	// Of several errors it is the first, each time.
	for _, i := range []int{700, 250, 900} {
		if err := os.Truncate(filepath.Join(dir, fmt.Sprintf("many/%03d/f.txt", i)), poolkeeper.MaxFile+1); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if _, _, err := configdir.ReadDir(t.Context(), dir, nil); !errors.Is(err, poolkeeper.ErrTooLarge) || !strings.Contains(err.Error(), "250") {
			t.Errorf("error %v, want that of 250", err)
		}
	}
}

// TestWriteManyFiles: what is written together, into directories that are missing
// and into those that are there, is what would be written one by one.
func TestWriteManyFiles(t *testing.T) {
	files := map[string]string{"configs/provider_pools.json": "{}"}
	for i := range 200 {
		files[fmt.Sprintf("configs/there/%03d/f.txt", i)] = strconv.Itoa(i)
		files[fmt.Sprintf("configs/missing/in/%03d.txt", i)] = strconv.Itoa(-i)
	}
	snap, _ := read(t, dirtest.WriteTree(t, files))
	dir := dirtest.WriteTree(t, map[string]string{"configs/there/007/f.txt": "old", "configs/there/mine.txt": "x"})
	report, err := configdir.WriteDir(t.Context(), dir, snap, &configdir.WriteOptions{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Written) != len(files)-1 || !slices.Equal(report.Replaced, []string{"configs/there/007/f.txt"}) {
		t.Errorf("%d written, replaced %q", len(report.Written), report.Replaced)
	}
	files["configs/there/mine.txt"] = "x"
	if diff := cmp.Diff(files, dirtest.Tree(t, filepath.Dir(dir))); diff != "" {
		t.Error(diff)
	}
}

// TestReadUnfinished: a directory that a write has left behind is not read.
func TestReadUnfinished(t *testing.T) {
	dir := dirtest.WriteTree(t, map[string]string{"configs/.poolkeeper-0123456789abcdef.tmp/a/b.json": "{", "configs/.poolkeeper-mine/c.json": "{}"})
	snap, report := read(t, dir)
	if len(snap.Values) != 1 || report.Files != 1 || !slices.Equal(report.Transient, []string{"configs/.poolkeeper-0123456789abcdef.tmp"}) {
		t.Errorf("%v, transient %q", snap.Values, report.Transient)
	}
}

// TestReadManyProviders: what is found by several at a time stands in the order of
// the file.
func TestReadManyProviders(t *testing.T) {
	const n = 2500
	files := map[string]string{}
	var pools, want []string
	for i := range n {
		pools = append(pools, fmt.Sprintf(`{"uuid":"%04d","A_TOKEN_FILE_PATH":"configs/a/%04d.json","usageCount":-1}`, i, i))
		want = append(want, fmt.Sprintf("configs/provider_pools.json t[%d].usageCount", i))
		files[fmt.Sprintf("configs/a/%04d.json", i)] = "[]"
	}
	for i := range n {
		want = append(want, fmt.Sprintf("configs/a/%04d.json ", i))
	}
	files["configs/provider_pools.json"] = `{"t":[` + strings.Join(pools, ",") + `]}`
	_, report := read(t, dirtest.WriteTree(t, files))
	var got []string
	for _, w := range report.Warnings {
		got = append(got, w.Path+" "+w.Where)
	}
	if diff := cmp.Diff(want, got); diff != "" || report.Tokens != n {
		t.Errorf("%d tokens, %s", report.Tokens, diff)
	}
}
