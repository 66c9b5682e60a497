package rawjson

import (
	"errors"
	"fmt"
)

// ErrTestFailed is what an error of [JSONPatch] wraps if the document is not as
// a "test" operation wants it, be it that the value is another or missing.
var ErrTestFailed = errors.New("test failed")

// maxCopied is how many bytes the copy operations of one patch may add, which
// could otherwise double the document over and over.
const maxCopied = 16 << 20

// PatchError says which operation of a JSON Patch failed. It names places,
// never values.
type PatchError struct {
	Index int    // of the operation, from 0
	Op    string // empty if it is missing or unknown
	Path  string // the pointer in question; empty for the whole document
	Msg   string

	err error
}

// Error implements the error interface.
func (e *PatchError) Error() string {
	op := e.Op
	if op == "" {
		op = "operation"
	}
	return fmt.Sprintf("patch operation %d: %s %q: %s", e.Index, op, e.Path, e.Msg)
}

// Unwrap returns [ErrTestFailed] or nil.
func (e *PatchError) Unwrap() error { return e.err }

// JSONPatch applies the JSON Patch (RFC 6902) patch to target and returns the
// new document: all of it, or none and an error. Bytes that no operation touches
// stay as they are. Where a key occurs several times, a path means the last one,
// and remove takes all of them away. "test" compares by value: numbers exactly,
// whatever their form, strings by their text, objects in any order.
//
// The error is a [*PatchError], or a [*SyntaxError] with "target" or "patch" in
// front of it. An unknown operation, a missing member and a path that is no JSON
// Pointer are errors, and so is a member that stands twice; members that the RFC
// does not know are ignored.
func JSONPatch(target, patch []byte) ([]byte, error) {
	return JSONPatchUntil(target, patch, func() error { return nil })
}

// JSONPatchUntil is [JSONPatch], but that it asks stop before each operation, and
// ends with its error where there is one.
func JSONPatchUntil(target, patch []byte, stop func() error) ([]byte, error) {
	if err := Valid(target); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if err := Valid(patch); err != nil {
		return nil, fmt.Errorf("patch: %w", err)
	}
	p := patcher{}
	p.read(spliced(target, 0, len(target), nil))
	var failed error
	err := Array(patch, func(i int, raw []byte) error {
		if failed = stop(); failed != nil {
			return failed
		}
		op, err := parseOperation(raw)
		if err == nil {
			err = p.apply(op)
		}
		if err != nil {
			err.Index, err.Op, failed = i, op.name, err
			return err
		}
		return nil
	})
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, fmt.Errorf("patch: %w", err)
	}
	return p.data, nil
}

// An operation is one entry of a patch.
type operation struct {
	name       string
	path, from pointer
	value      []byte
}

// parseOperation checks raw, as far as that goes without a document. The error
// lacks its Index and Op.
func parseOperation(raw []byte) (op operation, _ *PatchError) {
	if KindOf(raw) != KindObject {
		return op, &PatchError{Msg: "is not an object"}
	}
	names := [4]string{"op", "path", "from", "value"}
	var members [4][]byte
	twice := ""
	_ = Object(raw, func(k, v []byte) error { // the patch is valid
		for i, name := range names {
			if string(keyName(k)) == name {
				if members[i] != nil {
					twice = name
				}
				members[i] = v
			}
		}
		return nil
	})
	if twice != "" {
		return op, &PatchError{Msg: fmt.Sprintf("%q stands twice", twice)}
	}
	path, err := parseMember("path", members[1])
	if err != nil {
		return op, err
	}
	op.path, op.value = path, members[3]
	needsFrom, needsValue := false, false
	switch name, _ := Unquote(members[0]); name {
	case "add", "replace", "test":
		op.name, needsValue = name, true
	case "move", "copy":
		op.name, needsFrom = name, true
	case "remove":
		op.name = name
	default:
		return op, failure(path, `"op" is none of add, remove, replace, move, copy, test`)
	}
	if needsValue && op.value == nil {
		return op, failure(path, `"value" is missing`)
	}
	if needsFrom {
		if op.from, err = parseMember("from", members[2]); err != nil {
			err.Path = path.String()
			return op, err
		}
	}
	return op, nil
}

// parseMember reads the member of an operation that holds a pointer.
func parseMember(name string, raw []byte) (pointer, *PatchError) {
	if raw == nil {
		return nil, &PatchError{Msg: fmt.Sprintf("%q is missing", name)}
	}
	s, ok := Unquote(raw)
	if !ok {
		return nil, &PatchError{Msg: fmt.Sprintf("%q is not a string of valid Unicode", name)}
	}
	p, err := parsePointer(s)
	if err != nil {
		return nil, &PatchError{Path: s, Msg: fmt.Sprintf("%q %v", name, err)}
	}
	return p, nil
}

func failure(p pointer, msg string) *PatchError {
	return &PatchError{Path: p.String(), Msg: msg}
}
