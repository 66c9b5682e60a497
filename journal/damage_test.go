package journal_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/journal"
)

// filled makes a journal of four segments and returns its records.
func filled(t *testing.T, dir string) []string {
	t.Helper()
	j := open(t, dir, &journal.Options{SegmentBytes: 200})
	for i := range 16 {
		add(t, j, fmt.Sprintf("record %d %050d", i+1, i))
	}
	all := read(t, j, 0)
	j.Close()
	return all
}

func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d segments, %v", len(files), err)
	}
	slices.Sort(files)
	return files
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if b, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil && e.Name() != "lock" {
			all[e.Name()] = string(b)
		}
	}
	return all
}

// Damage anywhere but in the last write stops the opening with an error that
// names file and offset, and changes nothing; a repair keeps all before it.
func TestDamage(t *testing.T) {
	damages := map[string]func(t *testing.T, files []string) (file string, kept int){
		"a bit in a record": func(t *testing.T, files []string) (string, int) {
			flip(t, files[1], 120)
			return files[1], 4
		},
		"a bit in the first frame of the last segment": func(t *testing.T, files []string) (string, int) {
			flip(t, files[3], 60)
			return files[3], 9
		},
		"a bit in a header": func(t *testing.T, files []string) (string, int) {
			flip(t, files[2], 3)
			return files[2], 6
		},
		"a segment is missing": func(t *testing.T, files []string) (string, int) {
			if err := os.Remove(files[1]); err != nil {
				t.Fatal(err)
			}
			return files[2], 3
		},
		"a segment is cut short": func(t *testing.T, files []string) (string, int) {
			if err := os.Truncate(files[0], 100); err != nil {
				t.Fatal(err)
			}
			return files[0], 0
		},
		"a segment has the name of another": func(t *testing.T, files []string) (string, int) {
			if err := os.Rename(files[2], files[1]); err != nil {
				t.Fatal(err)
			}
			return files[1], 3
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			records := filled(t, dir)
			file, kept := damage(t, segmentFiles(t, dir))
			before := contents(t, dir)
			_, err := journal.Open(dir, nil)
			var corrupt *journal.CorruptError
			if !errors.As(err, &corrupt) || !errors.Is(err, poolkeeper.ErrDamaged) {
				t.Fatalf("it opens with %v", err)
			}
			if corrupt.File != filepath.Base(file) || !strings.Contains(err.Error(), corrupt.File) || !strings.Contains(poolkeeper.HintOf(err), "journal repair") {
				t.Errorf("error %v, hint %q, want one about %s", err, poolkeeper.HintOf(err), file)
			}
			infos, err := journal.Inspect(dir)
			if err != nil || !slices.ContainsFunc(infos, func(i journal.SegmentInfo) bool { return i.File == corrupt.File && i.Fault != "" }) {
				t.Errorf("Inspect: %+v, %v", infos, err)
			}
			if !maps.Equal(before, contents(t, dir)) {
				t.Error("files were changed")
			}
			repaired, err := journal.Repair(dir)
			if err != nil {
				t.Fatal(err)
			}
			j := open(t, dir, nil)
			if got := read(t, j, 0); !slices.Equal(got, records[:len(got)]) || len(got) < kept || uint64(len(got)) != repaired.Kept {
				t.Errorf("%d records are left, %d said, want at least %d", len(got), repaired.Kept, kept)
			}
			if len(repaired.Lost) == 0 || len(repaired.Aside) == 0 {
				t.Errorf("it says nothing of what is lost: %+v", repaired)
			}
			for _, f := range repaired.Aside {
				if original := strings.TrimSuffix(f, ".damaged"); before[original] != contents(t, dir)[f] {
					t.Errorf("%s is not %s as it was", f, original)
				}
			}
			add(t, j, "goes on")
		})
	}
}

func flip(t *testing.T, file string, at int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The end of a write that was cut short is cut off, at each length.
func TestTornTail(t *testing.T) {
	whole := t.TempDir()
	records := filled(t, whole)
	files := segmentFiles(t, whole)
	last, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	for size := len(last) - 80; size < len(last); size++ {
		dir := t.TempDir()
		if err := os.CopyFS(filepath.Join(dir, "j"), os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, "j", filepath.Base(files[len(files)-1])), int64(size)); err != nil {
			t.Fatal(err)
		}
		j := open(t, filepath.Join(dir, "j"), nil)
		if got := read(t, j, 0); !slices.Equal(got, records[:len(records)-1]) || j.Torn() == 0 {
			t.Errorf("cut to %d bytes: %d records, %d bytes torn", size, len(got), j.Torn())
		}
	}
}

func TestRepairOfWhatIsWhole(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir)
	before := contents(t, dir)
	r, err := journal.Repair(dir)
	if err != nil || r.Kept != 16 || len(r.Aside) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if !maps.Equal(before, contents(t, dir)) {
		t.Error("files were changed")
	}
	j := open(t, dir, nil)
	if _, err := journal.Repair(dir); !errors.Is(err, poolkeeper.ErrUnavailable) {
		t.Errorf("of one in use: %v", err)
	}
	j.Close()
	if _, err := journal.Inspect(filepath.Join(dir, "none")); err == nil {
		t.Error("there is no such directory")
	}
}
