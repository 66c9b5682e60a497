package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"
)

// A leaf is a string or number of a document, with the place where it stands.
type leaf struct {
	path  []any // names and positions
	start int   // of the literal
	end   int
}

func (l *leaf) name() string {
	name, _ := l.path[len(l.path)-1].(string)
	return name
}

// leaves finds the strings and numbers of a document that can be changed by
// one byte and leave it valid.
func leaves(t *testing.T, doc []byte) []leaf {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	type level struct {
		object bool
		key    any // the next one: a name, or a position
		named  bool
	}
	var open []level
	var found []leaf
	end := 0
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		start := end + bytes.IndexFunc(doc[end:], func(r rune) bool { return !bytes.ContainsRune([]byte(" \t\r\n,:"), r) })
		end = int(dec.InputOffset())
		top := len(open) - 1
		if d, ok := tok.(json.Delim); ok {
			if d == '}' || d == ']' {
				open = open[:top]
			} else {
				open = append(open, level{object: d == '{', key: 0})
				continue
			}
		} else if top >= 0 && open[top].object && !open[top].named {
			open[top].key, open[top].named = tok, true
			continue
		} else if _, at := flipped(doc[start:end]); at >= 0 {
			var path []any
			for _, l := range open {
				path = append(path, l.key)
			}
			found = append(found, leaf{path, start, end})
		}
		// A value has ended.
		if top = len(open) - 1; top >= 0 {
			if open[top].object {
				open[top].named = false
			} else {
				open[top].key = open[top].key.(int) + 1
			}
		}
	}
}

// flipped returns a literal with one byte changed that stays one, and which.
func flipped(literal []byte) (changed []byte, at int) {
	if !bytes.ContainsAny(literal[:1], `"-0123456789`) {
		return nil, -1
	}
	for i := len(literal) - 1; i >= 0; i-- {
		c := literal[i]
		digit, letter := c >= '0' && c <= '9', c >= 'a' && c <= 'z' && literal[0] == '"'
		// An escape ends at most five bytes after its backslash.
		if !digit && !letter || bytes.Contains(literal[max(0, i-5):i], []byte(`\`)) {
			continue
		}
		changed = slices.Clone(literal)
		switch c {
		case '9', 'z':
			changed[i]--
		default:
			changed[i]++
		}
		return changed, i
	}
	return nil, -1
}

// flip returns a document with one byte of a leaf changed.
func flip(doc []byte, l leaf) []byte {
	literal, _ := flipped(doc[l.start:l.end])
	return slices.Concat(doc[:l.start], literal, doc[l.end:])
}

// flipAny returns bytes with any one changed, and one more where there is none.
func flipAny(m maker, data []byte) []byte {
	if len(data) == 0 {
		return []byte("x")
	}
	out := slices.Clone(data)
	out[m.IntN(len(out))] ^= 1
	return out
}
