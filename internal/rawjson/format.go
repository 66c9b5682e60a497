package rawjson

// Indent appends the valid document v to dst in the form that JavaScript's
// JSON.stringify gives it with an indent. Only white space between tokens
// changes: every token stays as it is. Each line but the first begins with
// prefix, so that v can go into a document at any depth. There is no newline at
// the end.
func Indent(dst, v []byte, prefix, indent string) []byte {
	depth := 0
	newline := func() {
		dst = append(append(dst, '\n'), prefix...)
		for range depth {
			dst = append(dst, indent...)
		}
	}
	for i := skipSpace(v, 0); i < len(v); {
		c := v[i]
		end := tokenEnd(v, i)
		next := skipSpace(v, end)
		switch c {
		case '{', '[':
			dst = append(dst, c)
			if next < len(v) && v[next] == closing(c) {
				dst = append(dst, v[next])
				next = skipSpace(v, next+1)
				break
			}
			depth++
			newline()
		case '}', ']':
			depth--
			newline()
			dst = append(dst, c)
		case ',':
			dst = append(dst, c)
			newline()
		case ':':
			dst = append(dst, ": "...)
		default:
			dst = append(dst, v[i:end]...)
		}
		i = next
	}
	return dst
}

// IndentLen returns how many bytes [Indent] would append, without making them:
// of what is nested deeply they are many times those of the document.
func IndentLen(v []byte, prefix, indent string) int {
	n, depth := 0, 0
	for i := skipSpace(v, 0); i < len(v); {
		end := tokenEnd(v, i)
		next := skipSpace(v, end)
		newline := false
		switch c := v[i]; c {
		case '{', '[':
			if next < len(v) && v[next] == closing(c) {
				end, next = end+1, skipSpace(v, next+1)
				break
			}
			depth++
			newline = true
		case '}', ']':
			depth--
			newline = true
		case ',':
			newline = true
		case ':':
			n++
		}
		n += end - i
		if newline {
			n += 1 + len(prefix) + depth*len(indent)
		}
		i = next
	}
	return n
}

// Compact appends the valid document v to dst without any white space between
// tokens. Every token stays as it is.
func Compact(dst, v []byte) []byte {
	for i := skipSpace(v, 0); i < len(v); {
		end := tokenEnd(v, i)
		dst = append(dst, v[i:end]...)
		i = skipSpace(v, end)
	}
	return dst
}
