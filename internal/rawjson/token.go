package rawjson

// tokenEnd returns the offset behind the token that begins at data[i]. It
// expects a valid document; in any other it still advances and stays in bounds.
func tokenEnd(data []byte, i int) int {
	switch data[i] {
	case '{', '}', '[', ']', ',', ':':
		return i + 1
	case '"':
		return stringEnd(data, i)
	}
	for i++; i < len(data) && !isDelimiter(data[i]); i++ {
	}
	return i
}

func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(data)
}

func isDelimiter(c byte) bool {
	switch c {
	case '{', '}', '[', ']', ',', ':', '"':
		return true
	}
	return isSpace(c)
}
