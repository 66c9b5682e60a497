package filestore

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// A record of the journal is a word, then what the word says:
//
//	op TIME WRITER OP
//	seen {"PATH":"HASH", …}
//	import begun|done RUN
const (
	opWord     = "op "
	seenWord   = "seen "
	importWord = "import "
)

// A record is what one record of the journal says: one of its parts.
type record struct {
	decision *decision
	seen     map[string]string // hashes of the files of a merge, as they were
	mark     *importMark
}

// An importMark says that an import began, or that it came to its end.
type importMark struct {
	run        string
	unfinished bool
}

// A decision is an op with the time and the instance by which it was decided.
type decision struct {
	op     poolkeeper.Op
	at     int64
	writer string
}

func encodeDecision(op *poolkeeper.Op, at int64, writer string) ([]byte, error) {
	data, err := poolkeeper.EncodeOp(op)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, len(opWord)+20+1+len(writer)+1+len(data))
	b = append(b, opWord...)
	b = strconv.AppendInt(b, at, 10)
	b = append(b, ' ')
	b = append(b, writer...)
	b = append(b, ' ')
	return append(b, data...), nil
}

func encodeSeen(seen map[string]string) []byte {
	b, _ := json.Marshal(seen) // strings always marshal
	return append([]byte(seenWord), b...)
}

func encodeMark(m importMark) []byte {
	word := "done "
	if m.unfinished {
		word = "begun "
	}
	return []byte(importWord + word + m.run)
}

// decodeRecord reads a record.
func decodeRecord(data []byte) (r record, err error) {
	if rest, ok := bytes.CutPrefix(data, []byte(seenWord)); ok {
		if json.Unmarshal(rest, &r.seen) != nil {
			return r, poolkeeper.Errorf(poolkeeper.ErrDamaged, "a record of merged files cannot be read")
		}
		return r, nil
	}
	if rest, ok := bytes.CutPrefix(data, []byte(importWord)); ok {
		word, run, ok := strings.Cut(string(rest), " ")
		if !ok || word != "begun" && word != "done" {
			return r, poolkeeper.Errorf(poolkeeper.ErrDamaged, "a record of an import cannot be read")
		}
		r.mark = &importMark{run, word == "begun"}
		return r, nil
	}
	rest, ok := bytes.CutPrefix(data, []byte(opWord))
	at, rest, ok2 := bytes.Cut(rest, []byte(" "))
	writer, rest, ok3 := bytes.Cut(rest, []byte(" "))
	ms, err := strconv.ParseInt(string(at), 10, 64)
	if !ok || !ok2 || !ok3 || err != nil {
		return r, poolkeeper.Errorf(poolkeeper.ErrDamaged, "a record of an unknown kind").
			WithHint("a newer version may have written it")
	}
	op, err := poolkeeper.DecodeOp(rest)
	if err != nil {
		return r, poolkeeper.Errorf(poolkeeper.ErrDamaged, "a record holds no op: %v", err)
	}
	r.decision = &decision{op, ms, string(writer)}
	return r, nil
}
