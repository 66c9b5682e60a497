package poolkeeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
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
	if err := decodeStrictly(data, &op); err != nil {
		return Op{}, Errorf(ErrInvalid, "op cannot be decoded: %s", decodeFault(err))
	}
	return op, op.Validate()
}

// DecodeKey reads a key as it stands in an op, strictly. It is not validated, as
// Load takes keys that no op can have.
func DecodeKey(data []byte) (Key, error) {
	var key Key
	if err := decodeStrictly(data, &key); err != nil {
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

var errTail = errors.New("something stands after it")
