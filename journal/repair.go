package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// A Repaired says what a repair did.
type Repaired struct {
	// Aside are the files that hold what was damaged, and what came after it,
	// as it was: nothing is deleted.
	Aside []string `json:"aside"`
	// Kept is how many records can be read.
	Kept uint64 `json:"kept"`
	// Lost says what cannot be read any more, in words.
	Lost []string `json:"lost"`
	// Next is the sequence that the next record gets: above all that were given.
	Next uint64 `json:"next"`
}

// Repair makes a damaged journal one that opens: everything before the first
// damage stays, and nothing after it, as what comes later may build on what is
// lost. A copy of the damaged segment, and the segments after it, are put aside
// as NAME.damaged. The next record gets a sequence above all that were given. A
// repair that was cut off is completed by the next one. A journal that is in use
// is [poolkeeper.ErrUnavailable]; one that is whole is left as it is.
func Repair(dir string) (*Repaired, error) {
	j := &Journal{dir: dir}
	fsys, err := vfs.Open(dir)
	if err != nil {
		return nil, j.absent("repair", err)
	}
	return j.repair(fsys)
}

func (j *Journal) repair(fsys vfs.FS) (*Repaired, error) {
	j.fs = fsys
	defer j.end()
	if err := j.hold(); err != nil {
		return nil, err
	}
	r, err := repair(fsys)
	return r, j.failure("repair", err)
}

func repair(fsys vfs.FS) (*Repaired, error) {
	infos, err := inspect(fsys, nil)
	if err != nil {
		return nil, err
	}
	r := &Repaired{Aside: []string{}, Lost: []string{}, Next: 1}
	bad := slices.IndexFunc(infos, func(i SegmentInfo) bool { return i.Fault != "" && !i.Torn })
	for i, info := range infos {
		r.Next = max(r.Next, info.next)
		if bad < 0 || i <= bad && !info.gap && !info.header {
			r.Kept += info.Records
		}
	}
	if bad < 0 {
		if n := len(infos); n > 0 {
			r.Next = infos[n-1].Last + 1 // what is torn was not given
		}
		return r, nil
	}
	due := infos[bad].Last + 1
	if infos[bad].gap || infos[bad].header {
		if due = infos[bad].First; bad > 0 {
			due = infos[bad-1].Last + 1
		}
	}
	// The new last segment comes first, and the damage stays where it is until all
	// else is done: a repair that is cut off finds both again. The name alone of
	// the new one says which sequences were given.
	f, err := create(fsys, header{due, r.Next})
	if err != nil {
		return nil, err
	}
	f.Close()
	if err := r.putAside(fsys, infos[bad+1:]); err != nil {
		return nil, err
	}
	if infos[bad].gap {
		return r, r.putAside(fsys, infos[bad:bad+1])
	}
	return r, r.cutOff(fsys, infos[bad])
}

// putAside renames whole segments, from the last to the first.
func (r *Repaired) putAside(fsys vfs.FS, infos []SegmentInfo) error {
	for _, info := range slices.Backward(infos) {
		if info.First == r.Next {
			continue // of a repair that was cut off
		}
		aside, err := asideName(fsys, info.File)
		if err != nil {
			return err
		}
		if err := fsys.Rename(info.File, aside); err != nil {
			return err
		}
		if err := fsys.SyncDir("."); err != nil {
			return err
		}
		r.Aside = append(r.Aside, aside)
		switch {
		case info.header:
			r.Lost = append(r.Lost, fmt.Sprintf("all of %s, from record %d on: %s", aside, info.First, info.Fault))
		case info.Records > 0:
			r.Lost = append(r.Lost, fmt.Sprintf("records %d to %d, which come after the damage: in %s", info.First, info.Last, aside))
		}
	}
	return nil
}

// cutOff keeps the whole records of a segment, and a copy of all of it. One
// whose header is damaged goes whole.
func (r *Repaired) cutOff(fsys vfs.FS, info SegmentInfo) error {
	if info.header {
		return r.putAside(fsys, []SegmentInfo{info})
	}
	b, err := readSegment(fsys, info.File, -1)
	if err != nil {
		return err
	}
	aside, err := asideName(fsys, info.File)
	if err != nil {
		return err
	}
	if err := vfs.WriteFile(fsys, aside, b, 0o600); err != nil {
		return err
	}
	r.Aside = append(r.Aside, aside)
	r.Lost = append(r.Lost, fmt.Sprintf("what stands in %s from offset %d on, from record %d on: %s", aside, info.FaultAt, info.Last+1, info.Fault))
	return cut(fsys, info.File, info.FaultAt)
}

// asideName is a name under which nothing is kept yet.
func asideName(fsys vfs.FS, file string) (string, error) {
	name := file + ".damaged"
	for n := 2; ; n++ {
		if _, err := fsys.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
		name = file + ".damaged." + strconv.Itoa(n)
	}
}
