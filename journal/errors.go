package journal

import (
	"fmt"

	"github.com/poolkeeper/poolkeeper"
)

// ErrFull says that a record would exceed the bound of the journal. Nothing was
// written. It is a [poolkeeper.ErrUnavailable].
var ErrFull error = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the journal is full").
	WithHint("what it holds has to be written elsewhere first; or allow it more bytes")

// ErrInUse says that another process has the journal. It is a
// [poolkeeper.ErrUnavailable].
var ErrInUse error = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the journal is in use")

// A CorruptError says where a journal is damaged. It is a
// [poolkeeper.ErrDamaged].
type CorruptError struct {
	Dir    string // of the journal; may be empty
	File   string // name of the segment
	Offset int64  // of the first byte that makes no sense
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal segment %s is damaged at offset %d: %s", e.File, e.Offset, e.Reason)
}

// Unwrap returns the error as one of the closed set, with the way out.
func (e *CorruptError) Unwrap() error {
	return poolkeeper.Errorf(poolkeeper.ErrDamaged, "%s", e.Error()).
		WithHint("look at it with: poolkeeper journal list; keep what can be read with: poolkeeper journal repair")
}
