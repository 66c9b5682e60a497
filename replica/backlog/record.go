package backlog

import (
	"encoding/binary"
	"encoding/json"

	"github.com/poolkeeper/poolkeeper"
)

// A record of the journal begins with what it says. Entries are numbered by the
// sequence of the record that they came with; a record that compaction has
// written says the number itself.
const (
	opRecord      = 'o' // OP: a new entry
	copyRecord    = 'O' // ENTRY OP
	foldRecord    = '+' // ENTRY N AT: more of an increment that was not sent
	programRecord = 'p' // NAME SOURCE
	frozenRecord  = 'f' // NUMBER AT PROGRAM REQUEST COUNT ENTRY…: 0 for the own sequence, and for ops right before
	settleRecord  = 's' // NUMBER TIME COUNT then ENTRY OUTCOME [RESULT] each
	asideRecord   = 'x' // ENTRY TIME RESULT: after its copy
	retryRecord   = 'r' // ENTRY OP: one set aside is a new entry
	discardRecord = 'd' // TIME COUNT ENTRY…: given up by a person
	dropRecord    = 'q' // TIME COUNT ENTRY…: given up because there was no room
	ledgerRecord  = 'L' // JSON of all that was ever dropped
	epochRecord   = 'e' // TEXT
	claimRecord   = 'c' // JSON: the name of the journal, and who brings it to the store
	rescueRecord  = 'R' // I ORIGIN OP: the I-th of ops that stand in front of all others of their key
	againRecord   = 'V' // ENTRY FIRST ORIGIN OP: a copy of one; FIRST is the number of the first of them
	lossRecord    = 'l' // JSON of what the store has lost for good
	lossesRecord  = 'M' // JSON of all of that since ever
)

// Outcomes of an op in a settlement.
const (
	goesOn = iota
	applied
	refused
)

type writer []byte

func record(kind byte) writer { return writer{kind} }

func (w *writer) number(ns ...uint64) {
	for _, n := range ns {
		*w = binary.AppendUvarint(*w, n)
	}
}

func (w *writer) text(t []byte) {
	w.number(uint64(len(t)))
	*w = append(*w, t...)
}

// A reader reads a record; after what makes no sense it is bad, and reads zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() { r.bad, r.rest = true, nil }

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) text() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	t := r.rest[:n:n]
	r.rest = r.rest[n:]
	return t
}

// count reads how many things follow, of at least one byte each.
func (r *reader) count() int {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

// op reads an op that takes up the rest. One that can be read and is not valid
// is kept: it will be refused, and listed.
func (r *reader) op() (op poolkeeper.Op) {
	op, err := poolkeeper.DecodeOp(r.rest)
	if err != nil && op.Kind == "" {
		r.fail()
	}
	r.rest = nil
	return op
}

func (r *reader) result() (res poolkeeper.Result) {
	if t := r.text(); !r.bad && json.Unmarshal(t, &res) != nil {
		r.fail()
	}
	return res
}

func encodeResult(res poolkeeper.Result) []byte {
	b, err := json.Marshal(res)
	if err != nil { // it has an encoding of its own, which cannot fail
		return []byte("{}")
	}
	return b
}
