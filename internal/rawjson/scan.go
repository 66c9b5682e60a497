package rawjson

import (
	"bytes"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested.
const MaxDepth = 10_000

// Valid returns nil if data is exactly one JSON value, with nothing but white
// space around it, and else a [*SyntaxError]. Strings may have bytes that are no
// UTF-8, as files that are carried over have them: see [ValidUTF8].
func Valid(data []byte) error {
	_, _, err := document(data, MaxDepth)
	return err
}

// ValidUTF8 returns nil if data is UTF-8, as JSON has to be where it is sent to
// others, and else a [*SyntaxError] at the first byte that is none.
func ValidUTF8(data []byte) error {
	if utf8.Valid(data) {
		return nil
	}
	i := 0
	for {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return syntaxError(data, i, "a byte that is no UTF-8")
		}
		i += size
	}
}

// StripBOM returns data without a leading UTF-8 byte order mark, which JSON
// does not allow, and whether there was one.
func StripBOM(data []byte) ([]byte, bool) {
	return bytes.CutPrefix(data, []byte("\xef\xbb\xbf"))
}

// document returns where the one value of data begins and ends.
func document(data []byte, room int) (start, end int, err error) {
	start = skipSpace(data, 0)
	end, err = skipValue(data, start, room)
	if err != nil {
		return 0, 0, err
	}
	return start, end, atEnd(data, end)
}

// atEnd checks that only white space follows data[:i].
func atEnd(data []byte, i int) error {
	if i = skipSpace(data, i); i < len(data) {
		return unexpected(data, i, "end of document")
	}
	return nil
}

// The skip functions check one construct that begins at data[i] and return the
// offset behind it.

func skipSpace(data []byte, i int) int {
	for i < len(data) && isSpace(data[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t'
}

// skipValue refuses values that nest deeper than room. It recurses once per
// level, so room bounds the stack as well.
func skipValue(data []byte, i, room int) (int, error) {
	if i >= len(data) {
		return 0, unexpected(data, i, "a value")
	}
	switch c := data[i]; c {
	case '"':
		return skipString(data, i)
	case '{', '[':
		if room == 0 {
			return 0, syntaxError(data, i, "nested too deeply")
		}
		cur := cursor{data: data, pos: i + 1, end: closing(c), room: room - 1}
		for {
			if _, ok, err := cur.next(); err != nil || !ok {
				return cur.pos, err
			}
		}
	case 't':
		return skipLiteral(data, i, "true")
	case 'f':
		return skipLiteral(data, i, "false")
	case 'n':
		return skipLiteral(data, i, "null")
	default:
		if c == '-' || isDigit(c) {
			return skipNumber(data, i)
		}
		return 0, unexpected(data, i, "a value")
	}
}

func skipLiteral(data []byte, i int, want string) (int, error) {
	for k := range len(want) {
		if i+k >= len(data) || data[i+k] != want[k] {
			return 0, unexpected(data, i+k, want)
		}
	}
	return i + len(want), nil
}

func skipString(data []byte, i int) (int, error) {
	for i++; i < len(data); i++ {
		c := data[i]
		switch {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			n, err := skipEscape(data, i)
			if err != nil {
				return 0, err
			}
			i = n - 1
		case c < ' ':
			return 0, syntaxError(data, i, "unescaped control character "+quoteChar(data[i:])+" in a string")
		}
	}
	return 0, unexpected(data, i, "the end of the string")
}

func skipEscape(data []byte, i int) (int, error) {
	i++
	if i >= len(data) {
		return 0, unexpected(data, i, "an escape")
	}
	switch data[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1, nil
	case 'u':
		for k := 1; k <= 4; k++ {
			if i+k >= len(data) || !isHex(data[i+k]) {
				return 0, unexpected(data, i+k, "a hexadecimal digit")
			}
		}
		return i + 5, nil
	}
	return 0, unexpected(data, i, "an escape")
}

func skipNumber(data []byte, i int) (int, error) {
	if data[i] == '-' {
		i++
	}
	var err error
	if i < len(data) && data[i] == '0' {
		i++ // no digit may follow: whoever reads on refuses it
	} else if i, err = skipDigits(data, i); err != nil {
		return 0, err
	}
	if i < len(data) && data[i] == '.' {
		if i, err = skipDigits(data, i+1); err != nil {
			return 0, err
		}
	}
	if i < len(data) && (data[i] == 'e' || data[i] == 'E') {
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		return skipDigits(data, i)
	}
	return i, nil
}

// skipDigits wants at least one digit.
func skipDigits(data []byte, i int) (int, error) {
	if i >= len(data) || !isDigit(data[i]) {
		return 0, unexpected(data, i, "a digit")
	}
	for i < len(data) && isDigit(data[i]) {
		i++
	}
	return i, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// closing returns the bracket that ends what the bracket c begins.
func closing(c byte) byte {
	if c == '{' {
		return '}'
	}
	return ']'
}
