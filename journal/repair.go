package journal

import (
	"fmt"
	"slices"

	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// A SegmentInfo describes a segment.
type SegmentInfo struct {
	File    string `json:"file"`
	First   uint64 `json:"first"`   // sequence of its first record
	Records uint64 `json:"records"` // that can be read
	Bytes   int64  `json:"bytes"`
	// Fault says what is wrong at FaultAt; empty where nothing is.
	Fault   string `json:"fault,omitempty"`
	FaultAt int64  `json:"faultAt,omitempty"`
	// Torn says that the fault is the end of a write that a crash cut short:
	// nothing of it was acknowledged, and opening the journal cuts it off.
	Torn bool `json:"torn,omitempty"`

	gap bool // the fault is that segments before it are missing
}

// Inspect describes the segments of a journal's directory, in their order,
// without changing anything.
func Inspect(dir string) ([]SegmentInfo, error) {
	fsys, err := vfs.Open(dir)
	if err != nil {
		return nil, (&Journal{dir: dir}).failure("read", err)
	}
	defer fsys.Close()
	infos, err := inspect(fsys)
	return infos, (&Journal{dir: dir}).failure("read", err)
}

func inspect(fsys vfs.FS) ([]SegmentInfo, error) {
	names, err := segmentNames(fsys)
	if err != nil {
		return nil, err
	}
	infos := make([]SegmentInfo, 0, len(names))
	due := uint64(0)
	for i, name := range names {
		b, err := readSegment(fsys, name, -1)
		if err != nil {
			return nil, err
		}
		first, _ := segmentFirst(name)
		s, _ := scanSegment(b, first, nil)
		info := SegmentInfo{File: name, First: first, Records: s.end - first, Bytes: int64(len(b))}
		if s.fault != "" {
			info.Fault, info.FaultAt, info.Torn = s.fault, s.size, s.torn && i == len(names)-1
		} else if i > 0 && first != due {
			info.Fault, info.gap = fmt.Sprintf("it begins with record %d, where %d is due", first, due), true
		}
		due = s.end
		infos = append(infos, info)
	}
	return infos, nil
}

// A Repaired says what a repair did.
type Repaired struct {
	// Aside are the files that hold what was damaged, and what came after it,
	// as it was: nothing is deleted.
	Aside []string `json:"aside"`
	// Kept is how many records can be read.
	Kept uint64 `json:"kept"`
	// Lost says what cannot be read any more, in words.
	Lost []string `json:"lost"`
}

// Repair makes a damaged journal one that opens: everything before the first
// damage stays, and nothing after it, as records have no gaps. A copy of the
// damaged segment, and the segments after it, are put aside as NAME.damaged. A
// journal that is in use is [poolkeeper.ErrUnavailable]; one that is whole is
// left as it is.
func Repair(dir string) (*Repaired, error) {
	j := &Journal{dir: dir}
	fsys, err := vfs.Open(dir)
	if err != nil {
		return nil, j.failure("repair", err)
	}
	j.fs = fsys
	defer j.release()
	if err := j.hold(); err != nil {
		return nil, err
	}
	r, err := repair(fsys)
	return r, j.failure("repair", err)
}

func repair(fsys vfs.FS) (*Repaired, error) {
	infos, err := inspect(fsys)
	if err != nil {
		return nil, err
	}
	r := &Repaired{Aside: []string{}, Lost: []string{}}
	for i, info := range infos {
		if info.Fault == "" || info.Torn {
			r.Kept += info.Records
			continue
		}
		if info.gap { // all of it comes after what is missing
			return r, r.putAside(fsys, infos[i:])
		}
		// From the last segment to the first, so that one that is cut off halfway
		// finds the damage again.
		if err := r.putAside(fsys, infos[i+1:]); err != nil {
			return nil, err
		}
		return r, r.cutOff(fsys, info)
	}
	return r, nil
}

// putAside renames whole segments.
func (r *Repaired) putAside(fsys vfs.FS, infos []SegmentInfo) error {
	for _, info := range slices.Backward(infos) {
		aside := info.File + ".damaged"
		if err := fsys.Rename(info.File, aside); err != nil {
			return err
		}
		r.Aside = append(r.Aside, aside)
		if info.Records > 0 {
			r.Lost = append(r.Lost, fmt.Sprintf("records %d to %d, which come after the damage: in %s", info.First, info.First+info.Records-1, aside))
		}
	}
	return fsys.SyncDir(".")
}

// cutOff keeps the whole records of a segment, and a copy of all of it.
func (r *Repaired) cutOff(fsys vfs.FS, info SegmentInfo) error {
	b, err := readSegment(fsys, info.File, -1)
	if err != nil {
		return err
	}
	aside := info.File + ".damaged"
	if err := vfs.WriteFile(fsys, aside, b, 0o600); err != nil {
		return err
	}
	r.Aside = append(r.Aside, aside)
	r.Kept += info.Records
	r.Lost = append(r.Lost, fmt.Sprintf("what stands in %s from offset %d on, behind record %d: %s", aside, info.FaultAt, info.First+info.Records-1, info.Fault))
	return cut(fsys, info.File, info.FaultAt)
}
