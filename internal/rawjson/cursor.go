package rawjson

// An item is one member of an object, or one element of an array, by its
// offsets in the document.
type item struct {
	start  int // first byte: of the key in an object, of the value in an array
	keyEnd int // behind the key; start in an array
	value  int // first byte of the value
	end    int // behind the value
}

// A cursor steps through the items of one object or array and checks their
// syntax as it goes.
type cursor struct {
	data  []byte
	pos   int  // how far it has read
	end   byte // the closing bracket
	room  int  // how deep the items may nest
	began bool
}

// newCursor returns a cursor on the array or object, whichever bracket says,
// that data has as its value.
func newCursor(data []byte, bracket byte) (cursor, error) {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != bracket {
		want := "an array"
		if bracket == '{' {
			want = "an object"
		}
		return cursor{}, unexpected(data, i, want)
	}
	return cursor{data: data, pos: i + 1, end: closing(bracket), room: MaxDepth - 1}, nil
}

// next returns the next item. ok is false when there are no more; pos is then
// behind the closing bracket.
func (c *cursor) next() (it item, ok bool, err error) {
	i := skipSpace(c.data, c.pos)
	switch {
	case i < len(c.data) && c.data[i] == c.end:
		c.pos = i + 1
		return it, false, nil
	case !c.began:
		c.began = true
	case i < len(c.data) && c.data[i] == ',':
		i = skipSpace(c.data, i+1)
	default:
		return it, false, unexpected(c.data, i, "a comma or the closing bracket")
	}

	it = item{start: i, keyEnd: i, value: i}
	if c.end == '}' {
		if it.keyEnd, it.value, err = skipKey(c.data, i); err != nil {
			return it, false, err
		}
	}
	if it.end, err = skipValue(c.data, it.value, c.room); err != nil {
		return it, false, err
	}
	c.pos = it.end
	return it, true, nil
}

// skipKey returns the offset behind the key at data[i], and that of the value
// behind the colon.
func skipKey(data []byte, i int) (keyEnd, value int, err error) {
	if i >= len(data) || data[i] != '"' {
		return 0, 0, unexpected(data, i, "a key")
	}
	if keyEnd, err = skipString(data, i); err != nil {
		return 0, 0, err
	}
	if i = skipSpace(data, keyEnd); i >= len(data) || data[i] != ':' {
		return 0, 0, unexpected(data, i, "a colon")
	}
	return keyEnd, skipSpace(data, i+1), nil
}

// key returns the raw key of an item, with its quotes.
func (it item) key(data []byte) []byte { return data[it.start:it.keyEnd:it.keyEnd] }

// raw returns the raw value of an item. Its capacity ends with it, so that an
// append by whoever gets it cannot run into the document.
func (it item) raw(data []byte) []byte { return data[it.value:it.end:it.end] }
