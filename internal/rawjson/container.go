package rawjson

import "bytes"

// A container is one object or array of a document, with its items.
type container struct {
	data  []byte
	start int // offset of the opening bracket
	end   int // offset behind the closing one
	items []item
}

// readContainer checks data, which must be an object, and returns it with its
// members in items.
func readContainer(data []byte, items []item) (container, error) {
	cur, err := newCursor(data, '{')
	if err != nil {
		return container{}, err
	}
	start := cur.pos - 1
	for {
		it, ok, err := cur.next()
		if err != nil {
			return container{}, err
		}
		if !ok {
			return container{data, start, cur.pos, items}, atEnd(data, cur.pos)
		}
		items = append(items, it)
	}
}

// A fate says what becomes of an item: keep, drop, or any number from 0 up, by
// which the caller of rewrite knows the change.
type fate int

const (
	keep fate = -1
	drop fate = -2
)

// rewrite appends the splices that give every item its fate and add the items
// of added, in the style of the container, as the last ones. change appends the
// splices for the value of the i-th item, which is neither kept nor dropped.
//
// A dropped item takes with it the comma in front of it, or, where no item in
// front of it stays, the one behind it.
func (c *container) rewrite(out []splice, fates []fate, change func(out []splice, i int) []splice, added []addition) []splice {
	kept := false
	for i := 0; i < len(c.items); i++ {
		if fates[i] != drop {
			kept = true
			if fates[i] != keep {
				out = change(out, i)
			}
			continue
		}
		first := i
		for i+1 < len(c.items) && fates[i+1] == drop {
			i++
		}
		switch {
		case kept:
			out = append(out, splice{start: c.items[first-1].end, end: c.items[i].end})
		case i+1 < len(c.items):
			out = append(out, splice{start: c.items[first].start, end: c.items[i+1].start})
		}
	}

	last := len(c.items) - 1
	switch {
	case kept && len(added) > 0:
		at := c.items[last].end
		return append(out, splice{at, at, c.textOf(added, true)})
	case !kept && last >= 0 && len(added) > 0:
		return append(out, splice{c.items[0].start, c.items[last].end, c.textOf(added, false)})
	case !kept && (last >= 0 || len(added) > 0):
		return append(out, splice{c.start + 1, c.end - 1, c.textOf(added, false)})
	}
	return out
}

// An addition is a new item: the literal of its key, unless it is for an array,
// and its raw value.
type addition struct{ key, value []byte }

// textOf returns the text of new items, with a separator between each two and,
// if follows is set, in front of the first.
func (c *container) textOf(added []addition, follows bool) []byte {
	if len(added) == 0 {
		return nil
	}
	separator, colon := c.separator(), c.colon()
	size := 0
	for _, a := range added {
		size += len(separator) + len(a.key) + len(colon) + len(a.value)
	}
	text := make([]byte, 0, size)
	for i, a := range added {
		if follows || i > 0 {
			text = append(text, separator...)
		}
		if len(a.key) > 0 {
			text = append(append(text, a.key...), colon...)
		}
		text = append(text, a.value...)
	}
	return text
}

// separator returns what stands between two items here: what does between the
// last two, or, with only one item, what fits its surroundings.
func (c *container) separator() []byte {
	switch n := len(c.items); n {
	case 0:
		return []byte(",")
	case 1:
		lead := c.data[c.start+1 : c.items[0].start]
		if bytes.IndexByte(lead, '\n') < 0 {
			spaced := c.data[c.start] == '{' && bytes.HasSuffix(c.colon(), []byte(" "))
			if spaced || len(lead) > 0 {
				return []byte(", ")
			}
			return []byte(",")
		}
		return append([]byte(","), lead...)
	default:
		return c.data[c.items[n-2].end:c.items[n-1].start]
	}
}

// colon returns what stands between a key and its value here, as far as it is
// of a usual form.
func (c *container) colon() []byte {
	if len(c.items) == 0 {
		return []byte(":")
	}
	last := c.items[len(c.items)-1]
	switch gap := c.data[last.keyEnd:last.value]; string(gap) {
	case ":", ": ", " :", " : ":
		return gap
	}
	return []byte(": ")
}
