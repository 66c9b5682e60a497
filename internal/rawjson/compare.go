package rawjson

import (
	"bytes"
	"strconv"
)

// EqualTokens reports whether the valid documents a and b are the same but for
// white space between tokens. Tokens are compared as they are written: 1 is not
// 1.0, and "A" not "\u0041".
func EqualTokens(a, b []byte) bool {
	_, differ := diff(a, b)
	return !differ
}

// DiffTokens finds the first token in which a and b, which must be valid, differ
// in the sense of [EqualTokens]. It returns the JSON Pointer of the value or
// member of a that the token belongs to, which is the array or object around it
// if it is punctuation, and its offset in a, or len(a) if a has ended. If the
// two are equal, offset is -1.
func DiffTokens(a, b []byte) (path string, offset int) {
	offset, differ := diff(a, b)
	if !differ {
		return "", -1
	}
	return pointerAt(a, offset).String(), offset
}

func diff(a, b []byte) (offset int, differ bool) {
	i, j := skipSpace(a, 0), skipSpace(b, 0)
	for i < len(a) && j < len(b) {
		iEnd, jEnd := tokenEnd(a, i), tokenEnd(b, j)
		if !bytes.Equal(a[i:iEnd], b[j:jEnd]) {
			return i, true
		}
		i, j = skipSpace(a, iEnd), skipSpace(b, jEnd)
	}
	return i, i < len(a) || j < len(b)
}

// A level is one array or object around a position in a document.
type level struct {
	array bool
	index int
	key   []byte // the raw key of the member, nil between two members
}

// pointerAt returns the pointer of what the token at data[offset] belongs to.
func pointerAt(data []byte, offset int) pointer {
	var levels []level
	for i := skipSpace(data, 0); i < offset; i = skipSpace(data, tokenEnd(data, i)) {
		last := len(levels) - 1
		switch c := data[i]; {
		case c == '{' || c == '[':
			levels = append(levels, level{array: c == '['})
		case last < 0:
		case c == '}' || c == ']':
			levels = levels[:last]
		case c == ',':
			levels[last].index++
			levels[last].key = nil
		case c == '"' && !levels[last].array && levels[last].key == nil:
			levels[last].key = data[i:tokenEnd(data, i)]
		}
	}
	if last := len(levels) - 1; last >= 0 {
		switch c := data[offset]; {
		case c == ',' || c == '}' || c == ']':
			levels = levels[:last]
		case !levels[last].array && levels[last].key == nil:
			levels[last].key = data[offset:tokenEnd(data, offset)]
		}
	}
	p := make(pointer, len(levels))
	for i, l := range levels {
		if p[i] = strconv.Itoa(l.index); !l.array {
			p[i] = string(keyName(l.key))
		}
	}
	return p
}

// equal reports whether node n of a and node m of b have the same value:
// numbers exactly, strings by their text, objects in any order.
func equal(a *tree, n int, b *tree, m int) bool {
	kind := KindOf(a.raw(n))
	if kind != KindOf(b.raw(m)) {
		return false
	}
	switch kind {
	case KindObject:
		return equalObjects(a, n, b, m)
	case KindArray:
		return equalArrays(a, n, b, m)
	case KindString:
		return bytes.Equal(keyName(a.raw(n)), keyName(b.raw(m)))
	case KindNumber:
		return equalNumbers(a.raw(n), b.raw(m))
	}
	return bytes.Equal(a.raw(n), b.raw(m))
}

func equalObjects(a *tree, n int, b *tree, m int) bool {
	am, bm := a.members(n), b.members(m)
	if len(am) != len(bm) {
		return false
	}
	for name, k := range am {
		if l, ok := bm[name]; !ok || !equal(a, k, b, l) {
			return false
		}
	}
	return true
}

func equalArrays(a *tree, n int, b *tree, m int) bool {
	_, ak := a.container(n)
	_, bk := b.container(m)
	if len(ak) != len(bk) {
		return false
	}
	for i := range ak {
		if !equal(a, ak[i], b, bk[i]) {
			return false
		}
	}
	return true
}
