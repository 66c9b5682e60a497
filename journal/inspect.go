package journal

import (
	"io/fs"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
)

// A SegmentInfo describes a segment.
type SegmentInfo struct {
	File    string `json:"file"`
	First   uint64 `json:"first"`   // sequence of its first record
	Last    uint64 `json:"last"`    // of its last one; below First where it has none
	Records uint64 `json:"records"` // that can be read
	// Bytes is the length of the file, Used how much of it is header and records
	// that can be read. What is behind may be room for the next ones.
	Bytes int64 `json:"bytes"`
	Used  int64 `json:"used"`
	// Lost is how many sequences before its first an earlier repair has given up:
	// those of records that are lost, and where it could not tell, some more.
	Lost uint64 `json:"lost,omitempty"`
	// Fault says what is wrong at FaultAt; empty where nothing is.
	Fault   string `json:"fault,omitempty"`
	FaultAt int64  `json:"faultAt,omitempty"`
	// Torn says that the fault is the end of a write that a crash cut short, or
	// that is under way: nothing of it was acknowledged, and opening the journal
	// cuts it off.
	Torn bool `json:"torn,omitempty"`

	gap    bool   // the fault is that segments before it are missing
	header bool   // the fault is in the header
	next   uint64 // a sequence that no record of it can have
}

// Inspect describes the segments of a journal's directory, in their order,
// without changing anything. It may be in use meanwhile.
func Inspect(dir string) ([]SegmentInfo, error) { return Scan(dir, nil) }

// Scan is Inspect, and calls fn for each record that can be read, those behind a
// damage as well. It returns the error of fn.
func Scan(dir string, fn func(seq uint64, data []byte) error) ([]SegmentInfo, error) {
	j := &Journal{dir: dir}
	fsys, err := vfs.Open(dir)
	if err != nil {
		return nil, j.absent("read", err)
	}
	defer fsys.Close()
	var fnErr error
	infos, err := inspect(fsys, func(seq uint64, data []byte) error {
		if fn != nil {
			fnErr = fn(seq, data)
		}
		return fnErr
	})
	if fnErr != nil {
		return nil, fnErr
	}
	if err == nil && len(infos) == 0 { // somebody holds it, and writes none
		err = fs.ErrNotExist
	}
	return infos, j.absent("read", err)
}

// absent is failure for a directory that has to be there.
func (j *Journal) absent(action string, err error) error {
	if err == nil || !isNotExist(err) {
		return j.failure(action, err)
	}
	return poolkeeper.Errorf(poolkeeper.ErrNotFound, "there is no journal in %s", j.dir).
		WithHint("name the state directory of the process that wrote it")
}

func inspect(fsys vfs.FS, fn func(seq uint64, data []byte) error) ([]SegmentInfo, error) {
	names, err := segmentNames(fsys)
	if err != nil {
		return nil, err
	}
	infos := make([]SegmentInfo, 0, len(names))
	due := uint64(0) // none
	for _, name := range names {
		b, err := readSegment(fsys, name, -1)
		if isNotExist(err) { // trimmed meanwhile, and with it those before
			infos, due = infos[:0], 0
			continue
		}
		if err != nil {
			return nil, err
		}
		first, _ := segmentFirst(name)
		s, err := scanSegment(b, first, fn)
		if err != nil {
			return nil, err
		}
		info := SegmentInfo{
			File: name, First: first, Last: s.end - 1, Records: s.end - first, Bytes: int64(len(b)), Used: s.size,
			Fault: s.fault, FaultAt: s.size, Torn: s.torn, header: s.fault != "" && s.size == 0, next: s.next,
		}
		switch {
		case s.fault != "":
		case due > 0 && s.due != due:
			info.Fault, info.FaultAt, info.gap = gapFault(s.due, due), 0, true
		default:
			info.FaultAt, info.Lost = 0, first-s.due
		}
		if due = s.end; s.fault != "" && len(infos) < len(names)-1 {
			due = 0 // said once
		}
		infos = append(infos, info)
	}
	for i := range infos[:max(0, len(infos)-1)] {
		infos[i].Torn = false
		if !infos[i+1].header {
			infos[i].next = infos[i].Last + 1 // what was damaged there ends before the next segment
		}
	}
	return infos, nil
}
