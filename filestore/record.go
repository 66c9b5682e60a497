package filestore

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
)

// A record of the journal is a word, then what the word says:
//
//	op TIME WRITER OP
//	seen {"PATH":"HASH", …}
const (
	opWord   = "op "
	seenWord = "seen "
)

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

// decodeRecord reads a record: a decision, or the files that an outside edit has
// left and that were merged.
func decodeRecord(data []byte) (d *decision, seen map[string]string, err error) {
	if rest, ok := bytes.CutPrefix(data, []byte(seenWord)); ok {
		if json.Unmarshal(rest, &seen) != nil {
			return nil, nil, poolkeeper.Errorf(poolkeeper.ErrDamaged, "a record of merged files cannot be read")
		}
		return nil, seen, nil
	}
	rest, ok := bytes.CutPrefix(data, []byte(opWord))
	at, rest, ok2 := bytes.Cut(rest, []byte(" "))
	writer, rest, ok3 := bytes.Cut(rest, []byte(" "))
	ms, err := strconv.ParseInt(string(at), 10, 64)
	if !ok || !ok2 || !ok3 || err != nil {
		return nil, nil, poolkeeper.Errorf(poolkeeper.ErrDamaged, "a record of an unknown kind").
			WithHint("a newer version may have written it")
	}
	op, err := poolkeeper.DecodeOp(rest)
	if err != nil {
		return nil, nil, poolkeeper.Errorf(poolkeeper.ErrDamaged, "a record holds no op: %v", err)
	}
	return &decision{op, ms, string(writer)}, nil, nil
}
