package poolkeeper

import (
	"context"
	"strconv"
	"strings"
)

// A Status says what the acknowledgement of a write means.
type Status string

// The statuses.
const (
	// Applied: executed by the store, and the result is what it answered.
	Applied Status = "applied"
	// Queued: synced to this instance's journal; it will be applied.
	Queued Status = "queued"
	// Buffered: held in memory only, where there is no disk.
	Buffered Status = "buffered"
)

// A Revision identifies the last change of a key.
type Revision struct {
	Number uint64 // grows by one with each batch that changed the key
	Writer string // the instance that made the change
	Seq    uint64 // the sequence of the batch in that writer's lane
}

// IsZero reports whether the key was never changed.
func (r Revision) IsZero() bool { return r == Revision{} }

// String is "number-writer-sequence"; "0" for the zero Revision.
func (r Revision) String() string {
	if r.IsZero() {
		return "0"
	}
	var few [64]byte
	b := strconv.AppendUint(few[:0], r.Number, 10)
	b = append(append(append(b, '-'), r.Writer...), '-')
	return string(strconv.AppendUint(b, r.Seq, 10))
}

// ParseRevision reads what String wrote.
func ParseRevision(s string) (Revision, error) {
	if s == "0" {
		return Revision{}, nil
	}
	first, rest, ok := strings.Cut(s, "-")
	writer, last, ok2 := strings.Cut(rest, "-")
	n, err := strconv.ParseUint(first, 10, 64)
	seq, err2 := strconv.ParseUint(last, 10, 64)
	if !ok || !ok2 || err != nil || err2 != nil {
		return Revision{}, Errorf(ErrInvalid, "%q is no revision", s)
	}
	return Revision{n, writer, seq}, nil
}

// A Result is the answer to one op.
type Result struct {
	// Err is nil where the op was acknowledged; all else is then meaningful.
	Err    error
	Status Status
	// Revision is that of the key after the op, or of its batch.
	Revision Revision
	// ID is the provider that the op reached: the one named, or the one that
	// it was renamed to.
	ID string
	// Count is the counter that the op changed, after it: usageCount for
	// OpUsage and OpSuccess, errorCount for OpError, OpHealth and the phases
	// done and failed of OpRefresh, refreshCount for started.
	Count int64
	// Healthy is whether the provider counts as healthy after an op on its
	// health group.
	Healthy bool
	// Changed is false where everything already was as the op wants it.
	Changed bool
}

// A Backend keeps the state. All methods may be called from any number of
// goroutines.
type Backend interface {
	// Apply applies ops, each whole or not at all, and answers each in its
	// place: the results are as many as the ops. Ops of one key take effect in
	// the order given, and after all ops of that key that this Backend
	// acknowledged before; there is no atomicity across ops. An op that is
	// refused does not keep the others from being applied.
	//
	// Each op is validated first; one that fails has the error of
	// [Op.Validate]. Others: ErrNotFound, ErrExists, ErrConflict,
	// ErrUninitialized, ErrForeign, ErrForbidden, ErrDamaged, ErrLost,
	// ErrClosed; ErrUnavailable where the op was surely not applied;
	// ErrIndeterminate where it may have been.
	//
	// When ctx ends before an op was sent, its error is that of ctx and it was
	// surely not applied; after that it is ErrIndeterminate, and the op is
	// applied or not all the same. An acknowledged increment is counted
	// exactly once. A caller that does the work of the batch that its op is in
	// may return later than ctx ends, by as much as one command may take.
	//
	// The ops are the Backend's from the call on, also after it returned: the
	// slice, the bytes and what else they point to. An op whose caller was told
	// that it is indeterminate may be on its way still.
	Apply(ctx context.Context, ops ...Op) []Result

	// Load reads the current state of the named keys, or of everything where
	// none is named. A key that holds nothing is left out of the snapshot.
	// Each key is read whole: pools, definitions and documents are never half
	// of one change and half of another. There is no atomicity across keys.
	// An alias is followed: a provider that was renamed is found under its old
	// id, and has its new one.
	Load(ctx context.Context, keys ...Key) (*Snapshot, error)

	// Restore puts a snapshot into an uninitialised store, which it
	// initialises with the last step: until then no other reader sees any of
	// it. An unfinished Restore is marked, and is simply run again. In an
	// initialised store it is ErrExists, in a foreign one ErrForeign.
	Restore(ctx context.Context, snap *Snapshot) error

	// Info describes the store and the connection to it, without secrets. A
	// store that cannot be used is described as such: an error means that ctx
	// has ended, or is ErrClosed.
	Info(ctx context.Context) (Info, error)

	// Close gives up what the Backend holds, after the ops under way were
	// answered. Later calls fail with ErrClosed; closing twice is no error.
	Close() error
}

// An ImportMarker is a Backend that can say of its initialised store that an
// import into it is unfinished, as Info shows by Importing.
type ImportMarker interface {
	// MarkImport marks the store in the name of a run, in place of any other, or
	// takes the mark of that run away; that of another one stays, and no mark is
	// no error. It changes nothing else. Errors are those of Apply.
	MarkImport(ctx context.Context, run string, unfinished bool) error
}

// A Flusher is a Backend with files that follow what it acknowledges, as a
// gateway's directory does.
type Flusher interface {
	// Flush returns nil once the files have all that was acknowledged before the
	// call. It changes nothing else, and holds up no op. Errors are those of
	// Apply.
	Flush(ctx context.Context) error
}

// Info describes a store.
type Info struct {
	Backend   string            `json:"backend"`             // "memory", "redis", "file"
	Target    string            `json:"target,omitempty"`    // where, redacted
	Ready     bool              `json:"ready"`               // the store is reachable and initialised
	Problem   string            `json:"problem,omitempty"`   // why not
	Mode      Mode              `json:"mode,omitempty"`      // where there is a queue: how it goes on
	Since     int64             `json:"since,omitempty"`     // when that began, in milliseconds since 1970
	Serving   bool              `json:"serving"`             // reads and writes are answered, as of a store that is ready, and while one goes on without it
	Queue     *QueueInfo        `json:"queue,omitempty"`     // what waits for the store
	Epoch     string            `json:"epoch,omitempty"`     // identity of the store's content
	Writer    string            `json:"writer,omitempty"`    // this instance
	Importing bool              `json:"importing,omitempty"` // a Restore or import is unfinished
	Warnings  []string          `json:"warnings,omitempty"`
	Details   map[string]string `json:"details,omitempty"`
}
