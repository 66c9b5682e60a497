package rawjson

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestParseCount(t *testing.T) {
	for _, tt := range []struct {
		lit   string
		want  int64
		exact bool
	}{
		{"0", 0, true},
		{"-0", 0, true},
		{"8", 8, true},
		{" 8\n", 8, true},
		{"-12", -12, true},
		{"9223372036854775807", math.MaxInt64, true},
		{"-9223372036854775808", math.MinInt64, true},
		{"9223372036854775808", math.MaxInt64, false},
		{"-9223372036854775809", math.MinInt64, false},
		{"123456789012345678901234567890", math.MaxInt64, false},
		{"9007199254740993", 9007199254740993, true},
		{"3.0", 3, false},
		{"2.5", 2, false},
		{"-2.5", -2, false},
		{"0.999", 0, false},
		{"9007199254740993.7", 9007199254740993, false},
		{"9223372036854775807.9", math.MaxInt64, false},
		{"-9223372036854775808.9", math.MinInt64, false},
		{"1e21", math.MaxInt64, false},
		{"-1e21", math.MinInt64, false},
		{"1e400", math.MaxInt64, false},
		{"1e99999999999999999999", math.MaxInt64, false},
		{"1e-99999999999999999999", 0, false},
		{"0e99999999999999999999", 0, false},
		{"9999999999999999999.0", math.MaxInt64, false},
		{"1E-7", 0, false},
		{"1.5e1", 15, false},
		{"15e-1", 1, false},
		{"1e3", 1000, false},
		{"0.00012e5", 12, false},
		{`"12"`, 12, false},
		{`" 7 "`, 7, false},
		{`"\u00a0\ufeff\t7\u2003\n"`, 7, false},
		{`"2.9"`, 2, false},
		{`"-1e2"`, -100, false},
		{`"99999999999999999999"`, math.MaxInt64, false},
		{`"\u00857"`, 0, false},
		{`"0x10"`, 0, false},
		{`"abc"`, 0, false},
		{`"1 2"`, 0, false},
		{`"+1"`, 0, false},
		{`"007"`, 0, false},
		{`""`, 0, false},
		{`" "`, 0, false},
		{`"\ud800"`, 0, false},
		{`"12`, 0, false},
		{"", 0, false},
		{"null", 0, false},
		{"true", 0, false},
		{"[]", 0, false},
		{"{}", 0, false},
		{"01", 0, false},
		{"1x", 0, false},
		{"-", 0, false},
		{"+1", 0, false},
	} {
		if n, exact := ParseCount([]byte(tt.lit)); n != tt.want || exact != tt.exact {
			t.Errorf("%s: %d, %v; want %d, %v", tt.lit, n, exact, tt.want, tt.exact)
		}
	}
}

// FuzzParseCount: where a float64 is near enough to tell, it agrees.
func FuzzParseCount(f *testing.F) {
	for _, s := range []string{"0", "-2.5", "1e21", "1.5e1", "0.00012e5", "1E-7", "9223372036854775808", "null"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, exact := ParseCount([]byte(s))
		if i, err := strconv.ParseInt(s, 10, 64); exact && strings.Trim(s, " \t\r\n") == s && (err != nil || i != n) {
			t.Errorf("%q: %d, %v", s, n, err)
		}
		x, err := strconv.ParseFloat(s, 64)
		if !isNumber([]byte(s)) || err != nil || math.Abs(x) > 1<<50 {
			return
		}
		if math.Abs(float64(n)-x) > 1.001 || math.Abs(float64(n)) > math.Abs(x)+0.001 {
			t.Errorf("%q: %d, want about %v", s, n, x)
		}
	})
}
