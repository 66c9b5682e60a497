package backlog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"

	"github.com/poolkeeper/poolkeeper"
)

// A journal has a name, which comes with the first record that is written to it
// while nothing is in it: so two copies of what waits have the same one. Before
// what waits is brought to the store, the journal is claimed there under it, each
// time by a mark of its own: the first of two copies leaves one that the other does
// not know.

// claim is what the journal knows of that.
type claim struct {
	Journal string `json:"journal"`
	// Marks are those that the store may have: the first one it had for sure, or it
	// is the first of all; the last one is of the claim that is on its way, or stands.
	Marks []poolkeeper.Mark `json:"marks,omitempty"`
	// Doubt is the last entry of those that another directory may have brought.
	Doubt uint64 `json:"doubt,omitempty"`
}

// maxMarks bounds how many claims are remembered whose outcome is not known.
const maxMarks = 16

func newName() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (c *claim) record() []byte {
	data, err := json.Marshal(c)
	if err != nil { // numbers and strings always marshal
		panic(err)
	}
	return append([]byte{claimRecord}, data...)
}

// foundClaim reads one. Writers that were the first at the same time have each
// written the name.
func (b *Backlog) foundClaim(r *reader) {
	var c claim
	if json.Unmarshal(r.rest, &c) != nil || c.Journal == "" {
		r.fail()
		return
	}
	r.rest = nil
	if c.Journal != b.claim.Journal || len(c.Marks) > 0 || c.Doubt > 0 {
		b.claim = c
	}
}

// named says whether the journal has its name, where it is to have one.
func (b *Backlog) named() bool { return b.journal == nil || b.isNamed.Load() }

// nameless takes the name away from a journal in which there is nothing: copies of
// it have nothing in common.
func (b *Backlog) nameless() {
	if len(b.entries)+len(b.aside) == 0 {
		b.claim = claim{}
	}
	b.isNamed.Store(b.claim.Journal != "")
}

// Claim begins a claim of the journal, which is durable when it returns. Only
// [Backlog.Claimed] says that the store has it.
func (b *Backlog) Claim() (poolkeeper.Claim, error) {
	b.gate.Lock()
	defer b.gate.Unlock()
	next := b.claim
	if next.Journal == "" {
		next.Journal = b.name
	}
	if n := len(next.Marks); n <= maxMarks { // else the last one again
		m := poolkeeper.Mark{Generation: 1, Nonce: newName()}
		if n > 0 {
			m.Generation = next.Marks[n-1].Generation + 1
		}
		next.Marks = append(next.Marks[:n:n], m)
		if err := b.setClaim(next); err != nil {
			return poolkeeper.Claim{}, err
		}
	}
	n := len(next.Marks) - 1
	return poolkeeper.Claim{Journal: next.Journal, Mark: next.Marks[n], Known: next.Marks[:n:n]}, nil
}

// Claimed notes that the store has a claim. It is durable with the next one: until
// then those before are known as well, which does no harm.
func (b *Backlog) Claimed(c poolkeeper.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.Journal == b.claim.Journal {
		b.claim.Marks = []poolkeeper.Mark{c.Mark}
	}
}

// Disown is for a journal that was claimed by another directory: all that waits is
// in doubt, see [Backlog.Doubtful], and what comes later is of a journal with
// another name. It returns how many ops wait.
func (b *Backlog) Disown() (int, error) {
	b.gate.Lock()
	defer b.gate.Unlock()
	waits := sortedKeys(b.entries)
	next := claim{Journal: newName(), Doubt: b.claim.Doubt}
	if n := len(waits); n > 0 {
		next.Doubt = max(next.Doubt, waits[n-1])
	}
	return len(waits), b.setClaim(next)
}

func (b *Backlog) setClaim(next claim) error {
	return b.write(context.Background(), func(uint64) {
		b.claim = next
		b.isNamed.Store(true)
		b.doubt()
	}, next.record())
}

// doubt has nothing added to entries that are in doubt.
func (b *Backlog) doubt() {
	for n, e := range b.entries {
		if n <= b.claim.Doubt {
			e.touched = true
		}
	}
}

// Doubtful sets those of some ops aside that another directory may have brought to
// the store, and returns how many these are.
func (b *Backlog) Doubtful(ops []poolkeeper.QueuedOp) (int, error) {
	b.mu.Lock()
	var numbers []uint64
	for _, op := range ops {
		if op.Entry <= b.claim.Doubt {
			numbers = append(numbers, op.Entry)
		}
	}
	b.mu.Unlock()
	if len(numbers) == 0 {
		return 0, nil
	}
	results := make([]poolkeeper.Result, len(numbers))
	for i := range results {
		results[i].Err = b.doubtful
	}
	return len(numbers), b.Resolve(numbers, results)
}

// errDoubtful is why an op is set aside that another directory may have brought.
func errDoubtful(dir string) error {
	return poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "the journal in %s is a copy, or was copied, and the other one was brought to the store: this op may have been applied with it", dir).
		WithHint("where it surely was, or is not wanted: poolkeeper journal discard; where it was not: poolkeeper journal retry")
}
