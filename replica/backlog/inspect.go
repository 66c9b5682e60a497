package backlog

import (
	"errors"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/journal"
)

// An Inspected is what a backlog holds, as its files say.
type Inspected struct {
	State   State
	Aside   []Aside
	Dropped []Dropped
	Lost    []poolkeeper.Loss
}

// Inspect reads the backlog of a directory without changing anything. It may be in
// use meanwhile. ErrDamaged where its records are not those of a backlog, or part of
// them is lost; the journal itself says where ([journal.Inspect]).
func Inspect(dir string) (*Inspected, error) {
	b := empty(dir)
	unread := errors.New("unread")
	segments, err := journal.Scan(dir, func(seq uint64, data []byte) error {
		if !b.replay(seq, data) {
			return unread
		}
		return nil
	})
	if err == nil {
		err = b.settleDown()
	}
	if errors.Is(err, unread) {
		err = poolkeeper.Errorf(poolkeeper.ErrDamaged, "the records of the journal in %s cannot be read as ops that wait", dir).
			WithHint("another version, or another program, may have written them")
	}
	if err != nil {
		return nil, err
	}
	in := &Inspected{State: b.State(), Aside: b.Aside(), Dropped: b.Dropped(), Lost: b.Lost()}
	for _, s := range segments {
		in.State.Files += s.Used
	}
	return in, nil
}
