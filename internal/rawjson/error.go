package rawjson

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// SyntaxError says where a document is not the JSON it should be. Its message
// holds at most one character of the document, because documents hold secrets.
type SyntaxError struct {
	Offset int64  // bytes in front of the offending one
	Line   int    // counted from 1
	Column int    // in characters, counted from 1
	Path   string // a file name or JSON Pointer, where known; may be set by the caller
	Msg    string
}

// Error implements the error interface.
func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("invalid JSON at %d:%d (offset %d): %s", e.Line, e.Column, e.Offset, e.Msg)
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	return s
}

// syntaxError returns an error about data[i]. Only the failing path pays for
// counting lines.
func syntaxError(data []byte, i int, msg string) *SyntaxError {
	before := data[:i]
	lineStart := bytes.LastIndexByte(before, '\n') + 1
	return &SyntaxError{
		Offset: int64(i),
		Line:   bytes.Count(before, []byte{'\n'}) + 1,
		Column: utf8.RuneCount(before[lineStart:]) + 1,
		Msg:    msg,
	}
}

// unexpected returns an error about data[i], or about the end of data, where
// something else should have been.
func unexpected(data []byte, i int, want string) *SyntaxError {
	if i >= len(data) {
		return syntaxError(data, len(data), "unexpected end of document, expected "+want)
	}
	return syntaxError(data, i, "unexpected character "+quoteChar(data[i:])+", expected "+want)
}

// quoteChar returns the first character of b, quoted.
func quoteChar(b []byte) string {
	r, size := utf8.DecodeRune(b)
	if r == utf8.RuneError && size <= 1 {
		return fmt.Sprintf(`'\x%02x'`, b[0])
	}
	return strconv.QuoteRune(r)
}
