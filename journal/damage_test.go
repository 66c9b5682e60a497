package journal_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
	"github.com/poolkeeper/poolkeeper/journal"
)

// filled makes a journal of four segments and returns its records.
func filled(t *testing.T, dir string) []string {
	t.Helper()
	j := open(t, dir, &journal.Options{SegmentBytes: 300})
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
	if err != nil || len(files) != 4 {
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
			return files[1], 5
		},
		"a bit in the first frame of the last segment": func(t *testing.T, files []string) (string, int) {
			flip(t, files[3], 60)
			return files[3], 12
		},
		"a bit in a header": func(t *testing.T, files []string) (string, int) {
			flip(t, files[2], 3)
			return files[2], 8
		},
		"a bit in the header of the last segment": func(t *testing.T, files []string) (string, int) {
			flip(t, files[3], 10)
			return files[3], 12
		},
		"a bit in the header of the first segment": func(t *testing.T, files []string) (string, int) {
			flip(t, files[0], 10)
			return files[0], 0
		},
		"a segment is missing": func(t *testing.T, files []string) (string, int) {
			if err := os.Remove(files[1]); err != nil {
				t.Fatal(err)
			}
			return files[2], 4
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
			return files[1], 4
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
			if got := read(t, j, 0); !slices.Equal(got, records[:len(got)]) || len(got) != kept || uint64(len(got)) != repaired.Kept {
				t.Errorf("%d records are left, %d said, want %d", len(got), repaired.Kept, kept)
			}
			if len(repaired.Lost) == 0 || len(repaired.Aside) == 0 {
				t.Errorf("it says nothing of what is lost: %+v", repaired)
			}
			for _, f := range repaired.Aside {
				if original := strings.TrimSuffix(f, ".damaged"); before[original] != contents(t, dir)[f] {
					t.Errorf("%s is not %s as it was", f, original)
				}
			}
			// No sequence is given again, and what was repaired is whole.
			if first := add(t, j, "goes on"); first != repaired.Next || first <= uint64(len(records)) {
				t.Errorf("the next record is %d, said %d; %d were given", first, repaired.Next, len(records))
			}
			j.Close()
			if infos, err := journal.Inspect(dir); err != nil || slices.ContainsFunc(infos, func(i journal.SegmentInfo) bool { return i.Fault != "" }) || infos[len(infos)-1].Lost == 0 {
				t.Errorf("after the repair: %+v, %v", infos, err)
			}
			if again, err := journal.Repair(dir); err != nil || len(again.Aside) != 0 {
				t.Errorf("a second repair: %+v, %v", again, err)
			}
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

// A scan reads what can be read, without holding the journal.
func TestScan(t *testing.T) {
	dir := t.TempDir()
	records := filled(t, dir)
	flip(t, segmentFiles(t, dir)[1], 120)
	var got []string
	infos, err := journal.Scan(dir, func(seq uint64, data []byte) error {
		got = append(got, fmt.Sprint(seq, " ", string(data)))
		return nil
	})
	kept := 0
	for _, i := range infos {
		kept += int(i.Records)
	}
	if err != nil || len(got) != kept || kept >= len(records) || got[len(got)-1] != records[len(records)-1] {
		t.Errorf("%d records of %d, said %d: %v", len(got), len(records), kept, err)
	}
	stop := errors.New("enough")
	if _, err := journal.Scan(dir, func(uint64, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of the caller became %v", err)
	}
}

// The end of a write that was cut short is cut off, at each length: where the
// file ends there, and where it goes on with the zeros that were there before.
func TestTornTail(t *testing.T) {
	whole := t.TempDir()
	filled(t, whole)
	j := open(t, whole, &journal.Options{SegmentBytes: 600})
	add(t, j, fmt.Sprintf("the last of all %060d", 0))
	records := read(t, j, 0)
	j.Close()
	infos, err := journal.Inspect(whole)
	if err != nil {
		t.Fatal(err)
	}
	end := infos[len(infos)-1]
	data, err := os.ReadFile(filepath.Join(whole, end.File))
	if err != nil || int64(len(data)) == end.Used {
		t.Fatalf("%d bytes, %d in use, %v", len(data), end.Used, err)
	}
	for size := end.Used - 80; size < end.Used; size++ {
		for _, zeros := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "j")
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			torn := slices.Clone(data[:size])
			if zeros {
				torn = append(torn, make([]byte, int64(len(data))-size)...)
			}
			if err := os.WriteFile(filepath.Join(dir, end.File), torn, 0o600); err != nil {
				t.Fatal(err)
			}
			if infos, err := journal.Inspect(dir); err != nil || !infos[len(infos)-1].Torn {
				t.Errorf("cut to %d bytes, zeros %v: %+v, %v", size, zeros, infos[len(infos)-1], err)
			}
			j := open(t, dir, nil)
			if got := read(t, j, 0); !slices.Equal(got, records[:len(records)-1]) || j.Torn() == 0 {
				t.Errorf("cut to %d bytes, zeros %v: %d records, %d bytes torn", size, zeros, len(got), j.Torn())
			}
			if first := add(t, j, "next"); first != uint64(len(records)) {
				t.Errorf("the next record is %d", first)
			}
			j.Close()
		}
	}
}

// The zeros behind the last frame are room for the next ones: neither damage
// nor torn, also where the segment is not the last any more.
func TestZeroTail(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		j := open(t, dir, nil)
		if j.Torn() != 0 {
			t.Errorf("%d bytes were torn", j.Torn())
		}
		add(t, j, fmt.Sprint(i))
		j.Close()
	}
	infos, err := journal.Inspect(dir)
	if err != nil || len(infos) != 1 || infos[0].Fault != "" || infos[0].Bytes <= infos[0].Used {
		t.Fatalf("%+v, %v", infos, err)
	}
	j := open(t, dir, &journal.Options{SegmentBytes: 10})
	add(t, j, "3")
	j.Close()
	if infos, err = journal.Inspect(dir); err != nil || len(infos) != 2 || infos[0].Fault != "" {
		t.Fatalf("%+v, %v", infos, err)
	}
	j = open(t, dir, nil)
	if got := read(t, j, 0); !slices.Equal(got, []string{"1 0", "2 1", "3 2", "4 3"}) {
		t.Errorf("got %q", got)
	}
}

// Records that look like frames do not make a torn write look like damage.
func TestTornWriteOfFrames(t *testing.T) {
	dir := t.TempDir()
	records := filled(t, dir)
	segment, err := os.ReadFile(segmentFiles(t, dir)[1])
	if err != nil {
		t.Fatal(err)
	}
	j := open(t, dir, nil)
	add(t, j, string(segment), strings.Repeat("x", 100))
	j.Close()
	infos, err := journal.Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	end := infos[len(infos)-1]
	if err := os.Truncate(filepath.Join(dir, end.File), end.Used-50); err != nil {
		t.Fatal(err)
	}
	j = open(t, dir, nil)
	if got := read(t, j, 0); !slices.Equal(got, records) {
		t.Errorf("%d records, want %d", len(got), len(records))
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
	if _, err := journal.Inspect(filepath.Join(dir, "none")); !errors.Is(err, poolkeeper.ErrNotFound) || !strings.Contains(err.Error(), "none") {
		t.Errorf("there is no such directory: %v", err)
	}
	if _, err := journal.Repair(filepath.Join(dir, "none")); !errors.Is(err, poolkeeper.ErrNotFound) {
		t.Errorf("there is no such directory: %v", err)
	}
}

// copied is a directory in memory with these files.
func copied(t *testing.T, files map[string]string) *faultfs.Memory {
	t.Helper()
	m := faultfs.NewMemory()
	for name, data := range files {
		if err := vfs.WriteFile(m, name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// A repair that dies, fails, or is cut off by a power cut at any call is
// completed by the next one: what can be kept is kept, all else is aside, and no
// sequence is given twice.
func TestRepairCutOff(t *testing.T) {
	for name, damage := range map[string]func(files []string){
		"a record": func(files []string) { flip(t, files[1], 120) },
		"a header": func(files []string) { flip(t, files[1], 10) },
		"a gap":    func(files []string) { os.Remove(files[1]) },
		"the last": func(files []string) { flip(t, files[len(files)-1], 60) },
	} {
		dir := t.TempDir()
		records := filled(t, dir)
		files := segmentFiles(t, dir)
		damage(files)
		before := contents(t, dir)
		plan := &faultfs.Plan{}
		if _, err := journal.RepairFS(faultfs.New(copied(t, before), plan)); err != nil {
			t.Fatal(err)
		}
		n := plan.Count()
		for at := 1; at <= n; at++ {
			for _, fault := range []faultfs.Fault{faultfs.Fail, faultfs.Full, faultfs.Kill, faultfs.Tear} {
				for second := 0; second <= n; second++ { // 0: the second one is not cut off
					m := copied(t, before)
					journal.RepairFS(faultfs.New(m, &faultfs.Plan{At: at, Fault: fault, Die: func() {}}))
					m.KeepName = func(string) bool { return second%2 == 0 }
					m.CutPower(nil)
					if second > 0 {
						journal.RepairFS(faultfs.New(m, &faultfs.Plan{At: second, Fault: fault, Die: func() {}}))
						m.CutPower(nil)
					}
					if _, err := journal.RepairFS(m); err != nil {
						t.Fatalf("%s, call %d, %v: %v", name, at, fault, err)
					}
					j := open(t, "DIR", &journal.Options{FS: m, SegmentBytes: small})
					got := read(t, j, 0)
					if len(got) < 4 || !slices.Equal(got, records[:len(got)]) {
						t.Errorf("%s, call %d, %v: kept %q", name, at, fault, got)
					}
					if first := add(t, j, "goes on"); first <= uint64(len(records)) {
						t.Errorf("%s, call %d, %v: the next record is %d; %d were given", name, at, fault, first, len(records))
					}
					j.Close()
					// Nothing is deleted: each file is there as it was, or aside.
					entries, _ := m.ReadDir(".")
					for f, data := range before {
						if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
							b, err := vfs.ReadFile(m, e.Name(), 1<<20)
							return strings.HasPrefix(e.Name(), f) && err == nil && string(b) == data
						}) {
							t.Errorf("%s, call %d, %v: %s is gone", name, at, fault, f)
						}
					}
				}
			}
		}
	}
}
