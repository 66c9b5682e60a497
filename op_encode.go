package poolkeeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// EncodeOp writes an op in its one encoding, a line of JSON without the line
// end; bytes are base64 in it.
func EncodeOp(op *Op) ([]byte, error) {
	b, err := json.Marshal(op)
	if err != nil {
		return nil, Errorf(ErrInvalid, "op cannot be encoded: %v", err)
	}
	return b, nil
}

// DecodeOp reads what [EncodeOp] wrote, strictly, and validates it. What can be
// read and is not valid is returned beside the error.
func DecodeOp(data []byte) (Op, error) {
	var op Op
	err := decodeStrictly(data, &op)
	if err == nil {
		err = fieldTwice(data)
	}
	if err != nil {
		return Op{}, Errorf(ErrInvalid, "op cannot be decoded: %s", decodeFault(err))
	}
	return op, op.Validate()
}

// DecodeKey reads a key as it stands in an op, strictly. It is not validated, as
// Load takes keys that no op can have.
func DecodeKey(data []byte) (Key, error) {
	var key Key
	err := decodeStrictly(data, &key)
	if err == nil {
		err = fieldTwice(data)
	}
	if err != nil {
		return Key{}, Errorf(ErrInvalid, "key cannot be decoded: %s", decodeFault(err))
	}
	return key, nil
}

func decodeStrictly(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errTail
	}
	return nil
}

// fieldTwice refuses an op, or a key, in which something stands twice: who wrote
// it may have meant either. Names are compared as the decoder does it, in any case.
func fieldTwice(v []byte) error {
	switch rawjson.KindOf(v) {
	case rawjson.KindArray:
		return rawjson.Array(v, func(_ int, v []byte) error { return fieldTwice(v) })
	case rawjson.KindObject:
		var few [8][]byte
		seen := few[:0]
		return rawjson.Object(v, func(k, v []byte) error {
			if bytes.IndexByte(k, '\\') >= 0 {
				name, _ := rawjson.Unquote(k)
				k = rawjson.Quote(name)
			}
			if slices.ContainsFunc(seen, func(s []byte) bool { return bytes.EqualFold(s, k) }) {
				return errTwice
			}
			seen = append(seen, k)
			return fieldTwice(v)
		})
	}
	return nil
}

var (
	errTail  = errors.New("something stands after it")
	errTwice = errors.New("a field stands twice")
)
