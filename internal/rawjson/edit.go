package rawjson

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// An Edit gives one member of an object a new raw value, or deletes it.
type Edit struct {
	Key   string
	Value []byte // nil deletes
}

// ErrBadKey is returned for a new key that is not valid UTF-8.
var ErrBadKey = errors.New("key is not valid UTF-8")

// Set returns a copy of the object obj in which the member key has the raw
// value. Of several members with that key the last is changed, since that is
// the one which readers see. If there is none, one is added behind the last
// member, spaced and indented like it. All other bytes stay as they are.
//
// It returns a [*SyntaxError] if obj is no valid object, or if value is no
// valid value; the Path of the latter is the JSON Pointer of the key.
func Set(obj []byte, key string, value []byte) ([]byte, error) {
	if value == nil {
		value = []byte{} // refused as empty, where nil would delete
	}
	return SetMany(obj, []Edit{{key, value}})
}

// Delete returns a copy of the object obj without any of the members key, and
// whether there were any. Each takes one comma and the white space beside it
// along; all other bytes stay as they are. Errors are those of [Set].
func Delete(obj []byte, key string) ([]byte, bool, error) {
	out, err := SetMany(obj, []Edit{{Key: key}})
	return out, err == nil && len(out) < len(obj), err
}

// Sizes up to which SetMany keeps its notes on the stack.
const (
	usualItems = 64
	usualEdits = 16
)

// SetMany applies several edits in one pass, each as [Set] or [Delete] does. If
// two name the same key the later one counts. New members are added in the
// order of the edits. On an error nothing is returned.
func SetMany(obj []byte, edits []Edit) ([]byte, error) {
	if err := checkValues(edits); err != nil {
		return nil, err
	}
	var itemBuf [usualItems]item
	c, err := readContainer(obj, itemBuf[:0])
	if err != nil {
		return nil, err
	}

	var fateBuf [usualItems]fate
	var landedBuf [usualEdits]int
	fates := fateBuf[:0]
	landed := landedBuf[:0] // for each edit, the item that gets its value
	for range edits {
		landed = append(landed, -1)
	}
	index := newEditIndex(edits)
	for i, it := range c.items {
		fates = append(fates, keep)
		switch e := index.find(keyName(it.key(obj))); {
		case e < 0:
		case edits[e].Value == nil:
			fates[i] = drop
		default:
			landed[e] = i
		}
	}

	var addedBuf [usualEdits]addition
	added := addedBuf[:0]
	for e, edit := range edits {
		switch {
		case landed[e] >= 0:
			fates[landed[e]] = fate(e)
		case edit.Value != nil && index.find([]byte(edit.Key)) == e:
			if !utf8.ValidString(edit.Key) {
				return nil, fmt.Errorf("%q: %w", edit.Key, ErrBadKey)
			}
			added = append(added, addition{Quote(edit.Key), trimSpace(edit.Value)})
		}
	}

	splices := make([]splice, 0, len(edits)+1)
	splices = c.rewrite(splices, fates, func(out []splice, i int) []splice {
		it := c.items[i]
		return append(out, splice{it.value, it.end, trimSpace(edits[fates[i]].Value)})
	}, added)
	return spliced(obj, 0, len(obj), splices), nil
}

// checkValues refuses edits whose values would break the document.
func checkValues(edits []Edit) error {
	for _, e := range edits {
		if e.Value == nil {
			continue
		}
		if _, _, err := document(e.Value, MaxDepth-1); err != nil {
			return at(err, pointer{e.Key})
		}
	}
	return nil
}

// An editIndex finds edits by their keys.
type editIndex struct {
	edits []Edit
	byKey map[string]int // only for many edits: a few are compared faster
}

func newEditIndex(edits []Edit) editIndex {
	x := editIndex{edits: edits}
	if len(edits) > usualEdits {
		x.byKey = make(map[string]int, len(edits))
		for i, e := range edits {
			x.byKey[e.Key] = i
		}
	}
	return x
}

// find returns the index of the last edit with the key, or -1.
func (x editIndex) find(key []byte) int {
	if x.byKey != nil {
		if i, ok := x.byKey[string(key)]; ok {
			return i
		}
		return -1
	}
	for i := len(x.edits) - 1; i >= 0; i-- {
		if x.edits[i].Key == string(key) {
			return i
		}
	}
	return -1
}

// trimSpace returns v, which must be valid, without the white space around it.
func trimSpace(v []byte) []byte {
	v = v[skipSpace(v, 0):]
	for isSpace(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	return v
}
