// Package show prints names that may be anything, for people.
package show

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name prints a name, quoted where it would be ambiguous on a line.
func Name(s string) string {
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && r != ' ' }) {
		return strconv.Quote(s)
	}
	return s
}

const maxShown = 120

// Clip cuts a text to what is enough to recognise it.
func Clip(s string) string {
	n := 0
	for i := range s {
		if n++; n > maxShown {
			return s[:i] + "…"
		}
	}
	return s
}
