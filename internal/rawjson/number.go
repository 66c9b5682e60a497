package rawjson

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// ParseCount returns the integer that the literal of a counter denotes. A
// number counts as its value, cut toward zero and limited to the range of int64,
// and a string as the number that it holds, with white space around it (that of
// JavaScript) allowed; it must be written as JSON writes numbers. Anything else
// counts as 0, as does an absent literal.
//
// exact is true only for a plain integer literal in range, so that a caller can
// warn about any other.
func ParseCount(lit []byte) (n int64, exact bool) {
	lit = bytes.Trim(lit, " \t\r\n")
	if KindOf(lit) == KindString {
		s, _ := Unquote(lit)
		n, _ = parseInteger([]byte(strings.TrimFunc(s, isJSSpace)))
		return n, false
	}
	return parseInteger(lit)
}

// isJSSpace reports whether JavaScript trims r.
func isJSSpace(r rune) bool {
	switch r {
	case '\t', '\n', '\v', '\f', '\r', '\u2028', '\u2029', '\ufeff':
		return true
	}
	return unicode.Is(unicode.Zs, r)
}

// parseInteger is ParseCount for numbers.
func parseInteger(lit []byte) (n int64, exact bool) {
	if !isNumber(lit) {
		return 0, false
	}
	if !bytes.ContainsAny(lit, ".eE") {
		n, err := strconv.ParseInt(string(lit), 10, 64)
		return n, err == nil // out of range, n is the end of the range
	}
	return parseDecimal(lit).integer(), false
}

func isNumber(lit []byte) bool {
	if len(lit) == 0 || lit[0] != '-' && !isDigit(lit[0]) {
		return false
	}
	end, err := skipNumber(lit, 0)
	return err == nil && end == len(lit)
}

// A decimal is the number 0.DIGITS × 10^exp, with no zero at either end of the
// digits. Zero has no digits.
type decimal struct {
	negative bool
	digits   string
	exp      *big.Int // a literal may have any exponent
}

// parseDecimal reads a valid number literal.
func parseDecimal(lit []byte) decimal {
	s, negative := strings.CutPrefix(string(lit), "-")
	d := decimal{negative: negative, exp: new(big.Int)}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		d.exp.SetString(strings.TrimPrefix(s[i+1:], "+"), 10)
		s = s[:i]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	leading := len(whole) + len(fraction) - len(digits)
	d.exp.Add(d.exp, big.NewInt(int64(len(whole)-leading)))
	d.digits = strings.TrimRight(digits, "0")
	return d
}

// integer returns d cut toward zero, or the end of the range of int64 that it is
// beyond.
func (d decimal) integer() int64 {
	const maxDigits = 19 // of an int64; any 19 digits fit into a uint64
	if d.digits == "" || d.exp.Sign() <= 0 {
		return 0
	}
	var u uint64
	if d.exp.Cmp(big.NewInt(maxDigits)) > 0 {
		u = math.MaxUint64
	} else {
		for i := range int(d.exp.Int64()) {
			u *= 10
			if i < len(d.digits) {
				u += uint64(d.digits[i] - '0')
			}
		}
	}
	if d.negative {
		return int64(-min(u, 1<<63))
	}
	return int64(min(u, math.MaxInt64))
}

// equalNumbers reports whether two valid number literals have the same value.
func equalNumbers(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, y := parseDecimal(a), parseDecimal(b)
	if x.digits == "" || y.digits == "" {
		return x.digits == y.digits // zero has no sign and no exponent
	}
	return x.negative == y.negative && x.digits == y.digits && x.exp.Cmp(y.exp) == 0
}
