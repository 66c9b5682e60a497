package rawjson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Unquote returns the text of the JSON string literal raw. ok is false if raw
// is not a string, and also if the text has no UTF-8 form: because of a lone
// surrogate escape, or of invalid UTF-8 in the literal.
func Unquote(raw []byte) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	if end, err := skipString(raw, 0); err != nil || end != len(raw) {
		return "", false
	}
	text := keyName(raw)
	if !utf8.Valid(text) {
		return "", false
	}
	return string(text), true
}

// keyName returns the text of the valid string literal raw, which is a part of
// raw if it has no escapes. A lone surrogate becomes the three bytes that
// encode it in generalised UTF-8: not valid UTF-8, but equal only to itself.
func keyName(raw []byte) []byte {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	return unescape(make([]byte, 0, len(inner)), inner)
}

func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			i++
			continue
		}
		c := s[i+1]
		i += 2
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(s[i:])
			i += 4
			if pair := pairWith(r, s[i:]); pair != utf8.RuneError {
				r = pair
				i += 6
			}
			dst = appendRune(dst, r)
		default: // a quote, a backslash or a slash stands for itself
			dst = append(dst, c)
		}
	}
	return dst
}

// pairWith returns the character that r makes with an escape at the beginning
// of rest, or utf8.RuneError if the two are no surrogate pair.
func pairWith(r rune, rest []byte) rune {
	if !utf16.IsSurrogate(r) || len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
		return utf8.RuneError
	}
	return utf16.DecodeRune(r, hex4(rest[2:]))
}

// hex4 returns the value of the four hexadecimal digits that s begins with.
func hex4(s []byte) rune {
	var r rune
	for _, c := range s[:4] {
		switch {
		case c >= 'a':
			c -= 'a' - 10
		case c >= 'A':
			c -= 'A' - 10
		default:
			c -= '0'
		}
		r = r<<4 | rune(c)
	}
	return r
}

// appendRune is utf8.AppendRune, except that it keeps surrogates.
func appendRune(dst []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(dst, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
	}
	return utf8.AppendRune(dst, r)
}

// Quote returns s as a JSON string literal. See [AppendQuote].
func Quote(s string) []byte {
	return AppendQuote(make([]byte, 0, len(s)+2), s)
}

// AppendQuote appends s as a JSON string literal, as JavaScript's
// JSON.stringify prints it: only quotes, backslashes and control characters
// below U+0020 are escaped. A byte of s that is not valid UTF-8 becomes U+FFFD.
func AppendQuote(dst []byte, s string) []byte {
	dst = append(dst, '"')
	done := 0 // s[:done] has been appended
	for i, r := range s {
		size := 1
		switch {
		case r >= ' ' && r != '"' && r != '\\' && r != utf8.RuneError:
			continue
		case r == utf8.RuneError:
			if _, size = utf8.DecodeRuneInString(s[i:]); size == 3 {
				continue // a U+FFFD that s really has
			}
		}
		dst = append(dst, s[done:i]...)
		dst = appendEscape(dst, r)
		done = i + size
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, `\b`...)
	case '\t':
		return append(dst, `\t`...)
	case '\n':
		return append(dst, `\n`...)
	case '\f':
		return append(dst, `\f`...)
	case '\r':
		return append(dst, `\r`...)
	case utf8.RuneError:
		return utf8.AppendRune(dst, r)
	}
	return append(dst, '\\', 'u', '0', '0', digits[r>>4], digits[r&0xf])
}
