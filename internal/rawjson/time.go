package rawjson

import (
	"fmt"
	"time"
)

// maxMillis is how far from 1970 a JavaScript Date can be.
const maxMillis = 8_640_000_000_000_000

// ParseTimeMillis returns the time that the literal denotes in milliseconds
// since 1970: an ISO 8601 string such as "2006-01-02T15:04:05.000Z", with or
// without a fraction (cut to milliseconds), in UTC or with an offset, or an
// integer that is the milliseconds themselves. Anything else is not ok, and so
// is a time which a JavaScript Date could not hold.
func ParseTimeMillis(lit []byte) (ms int64, ok bool) {
	if KindOf(lit) == KindString {
		s, _ := Unquote(trimSpace(lit))
		ms, ok = parseISO(s)
	} else {
		ms, ok = ParseCount(lit)
	}
	if !ok || ms < -maxMillis || ms > maxMillis {
		return 0, false
	}
	return ms, true
}

// AppendTime appends the time as a JSON string literal, as JavaScript's
// Date.toJSON prints it: in UTC and with three digits of a second, such as
// "2026-05-29T22:10:00.001Z". Times beyond what a JavaScript Date can hold are
// cut to that.
func AppendTime(dst []byte, ms int64) []byte {
	ms = min(max(ms, -maxMillis), maxMillis)
	t := time.UnixMilli(ms).UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return fmt.Appendf(dst, `"%+07d%s"`, y, t.Format("-01-02T15:04:05.000Z"))
	}
	return t.AppendFormat(dst, `"2006-01-02T15:04:05.000Z"`)
}

// parseISO is stricter than time.Parse, which takes one-digit hours and a comma
// in front of the fraction, and knows the six-digit years that JavaScript prints.
func parseISO(s string) (ms int64, ok bool) {
	p := timeParser{rest: s, ok: true}
	year := p.year()
	p.skip('-')
	month := p.number(2)
	p.skip('-')
	day := p.number(2)
	p.skip('T')
	hour := p.number(2)
	p.skip(':')
	minute := p.number(2)
	p.skip(':')
	second := p.number(2)
	milli := p.fraction()
	offset := p.zone()
	if !p.ok || p.rest != "" || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if int(t.Month()) != month || t.Day() != day {
		return 0, false // Date has carried a day that does not exist
	}
	return t.UnixMilli() + int64(milli) - int64(offset)*60_000, true
}

// A timeParser reads a time from left to right; ok turns false at the first
// mistake.
type timeParser struct {
	rest string
	ok   bool
}

// next takes one byte, 0 at the end.
func (p *timeParser) next() byte {
	if p.rest == "" {
		return 0
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	return c
}

func (p *timeParser) skip(want byte) {
	p.ok = p.next() == want && p.ok
}

// number takes exactly that many digits.
func (p *timeParser) number(digits int) int {
	n := 0
	for range digits {
		c := p.next()
		p.ok = isDigit(c) && p.ok
		n = n*10 + int(c) - '0'
	}
	return n
}

func (p *timeParser) year() int {
	if p.rest == "" || isDigit(p.rest[0]) {
		return p.number(4)
	}
	switch sign, y := p.next(), p.number(6); {
	case sign == '+':
		return y
	case sign == '-' && y != 0:
		return -y
	}
	p.ok = false
	return 0
}

// fraction takes a fraction of a second, if there is one, in milliseconds.
func (p *timeParser) fraction() int {
	if p.rest == "" || p.rest[0] != '.' {
		return 0
	}
	p.next()
	ms, unit := p.number(1)*100, 10
	for p.rest != "" && isDigit(p.rest[0]) {
		ms += p.number(1) * unit
		unit /= 10
	}
	return ms
}

// zone takes the offset from UTC, in minutes.
func (p *timeParser) zone() int {
	sign := p.next()
	if sign == 'Z' {
		return 0
	}
	hours := p.number(2)
	p.skip(':')
	minutes := p.number(2)
	p.ok = p.ok && hours <= 23 && minutes <= 59
	switch sign {
	case '+':
		return hours*60 + minutes
	case '-':
		return -hours*60 - minutes
	}
	p.ok = false
	return 0
}
