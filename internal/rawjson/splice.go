package rawjson

// A splice replaces data[start:end] of a document by text. Every edit of this
// package comes down to a list of them, in order and without overlap, so that
// what no splice names cannot change.
type splice struct {
	start, end int
	text       []byte
}

// spliced returns a copy of data[from:to] with the splices applied. Their
// offsets are those of data.
func spliced(data []byte, from, to int, splices []splice) []byte {
	size := to - from
	for _, s := range splices {
		size += len(s.text) - (s.end - s.start)
	}
	out := make([]byte, 0, size)
	for _, s := range splices {
		out = append(out, data[from:s.start]...)
		out = append(out, s.text...)
		from = s.end
	}
	return append(out, data[from:to]...)
}
