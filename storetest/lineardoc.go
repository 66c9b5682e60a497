package storetest

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/anishathalye/porcupine"

	"github.com/poolkeeper/poolkeeper"
)

// docState is a document of two small numbers, which put sets and patch
// changes one of.
type docState struct {
	there bool
	a, b  int
}

func (d docState) body() string { return fmt.Sprintf(`{"a":%d,"b":%d}`, d.a, d.b) }

type docInput struct {
	kind string
	next docState // what is put
	// cond is on the content seen, where it is "seen".
	cond poolkeeper.If
	seen docState
	n    int
}

var documentModel = porcupine.NondeterministicModel{
	Init:              func() []any { return []any{docState{}} },
	Step:              stepper(stepDocument),
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v → %+v", input, output) },
}

func stepDocument(s docState, in docInput) (docState, any) {
	if in.kind == "get" {
		return s, s.read()
	}
	switch in.cond {
	case poolkeeper.IfAbsent:
		if s.there {
			return s, refused("conflict")
		}
	case poolkeeper.IfPresent:
		if !s.there {
			return s, refused("conflict")
		}
	case "seen":
		if s != in.seen {
			return s, refused("conflict")
		}
	}
	if !s.there && in.kind != "put" {
		return s, refused("not-found")
	}
	switch in.kind {
	case "put":
		return in.next, true
	case "patch":
		s.a = in.n
		return s, true
	default:
		return docState{}, true
	}
}

// read is what a reader is answered.
func (d docState) read() string {
	if !d.there {
		return ""
	}
	return d.body()
}

// nextOnDocument makes the next call of a client. The numbers are few, so that
// a condition on a content that was there often holds.
func nextOnDocument(r *rand.Rand, key, _ int) request {
	k := poolkeeper.DocumentKey("linear:" + strconv.Itoa(key))
	some := func() docState { return docState{there: true, a: r.IntN(3), b: r.IntN(2)} }
	in := docInput{next: some(), seen: some(), n: r.IntN(3)}
	if n := r.IntN(100); n < 35 {
		in.kind = "get"
		return request{input: in, key: k, answer: func(_ poolkeeper.Result, snap *poolkeeper.Snapshot) any {
			return string(snap.Values[k].Data)
		}}
	}
	in.cond = []poolkeeper.If{poolkeeper.Always, poolkeeper.IfAbsent, poolkeeper.IfPresent, "seen", "seen", "seen"}[r.IntN(6)]
	var op poolkeeper.Op
	switch r.IntN(5) {
	case 0, 1, 2:
		in.kind, op = "put", putValue(k, in.next.body())
	case 3:
		in.kind, op = "patch", mergeValue(k, `{"a":`+strconv.Itoa(in.n)+"}")
	default:
		in.kind, op = "delete", removeValue(k)
	}
	op.If = in.cond
	if in.cond == "seen" {
		op.If = poolkeeper.If(poolkeeper.ETag([]byte(in.seen.body())))
	}
	return request{input: in, op: &op, answer: func(poolkeeper.Result, *poolkeeper.Snapshot) any { return true }}
}
