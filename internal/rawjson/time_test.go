package rawjson

import (
	"testing"
	"time"
)

func TestParseTimeMillis(t *testing.T) {
	at := time.Date(2026, 5, 29, 22, 10, 0, 0, time.UTC).UnixMilli()
	for lit, want := range map[string]int64{
		`"2026-05-29T22:10:00.001Z"`:       at + 1,
		` "2026-05-29T22:10:00Z" `:         at,
		`"2026-05-29T22:10:00.5Z"`:         at + 500,
		`"2026-05-29T22:10:00.123456789Z"`: at + 123,
		`"2026-05-30T00:10:00.000+02:00"`:  at,
		`"2026-05-29T16:40:00-05:30"`:      at,
		`"2026\u002d05-29T22:10:00Z"`:      at,
		`"1969-12-31T23:59:59.999Z"`:       -1,
		`"2024-02-29T00:00:00.000Z"`:       time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC).UnixMilli(),
		`"0000-01-01T00:00:00.000Z"`:       time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(),
		`"+275760-09-13T00:00:00.000Z"`:    maxMillis,
		`"-271821-04-20T00:00:00.000Z"`:    -maxMillis,
		`1780092600001`:                    1780092600001,
		`0`:                                0,
		`-5`:                               -5,
	} {
		if ms, ok := ParseTimeMillis([]byte(lit)); ms != want || !ok {
			t.Errorf("%s: %d, %v; want %d", lit, ms, ok, want)
		}
	}
	for _, lit := range []string{
		``, `null`, `true`, `[]`, `1.5`, `1e3`, `"1780092600001"`, `8640000000000001`, `-8640000000000001`, `""`, `"`,
		`"2026-05-29"`, `"2026-05-29T22:10"`, `"2026-05-29T22:10Z"`, `"2026-05-29T22:10:00"`, `"2026-05-29 22:10:00Z"`,
		`"2026-05-29T22:10:00,5Z"`, `"2026-05-29T22:10:00.Z"`, `"2026-05-29T2:10:00Z"`, `"2026-05-29t22:10:00z"`,
		`"2026-02-29T00:00:00Z"`, `"2026-13-01T00:00:00Z"`, `"2026-00-01T00:00:00Z"`, `"2026-05-00T00:00:00Z"`,
		`"2026-05-29T24:00:00Z"`, `"2026-05-29T22:60:00Z"`, `"2026-05-29T22:10:60Z"`, `"2026-05-29T22:10:00+24:00"`,
		`"2026-05-29T22:10:00+0200"`, `"2026-05-29T22:10:00x02:00"`, `"2026-05-29T22:10:00Zx"`, `" 2026-05-29T22:10:00Z"`,
		`"-000000-01-01T00:00:00Z"`, `"x02026-05-29T22:10:00Z"`, `"+275760-09-13T00:00:00.001Z"`, `"\ud800"`,
	} {
		if ms, ok := ParseTimeMillis([]byte(lit)); ms != 0 || ok {
			t.Errorf("%s: %d, %v", lit, ms, ok)
		}
	}
}

func TestAppendTime(t *testing.T) {
	for ms, want := range map[int64]string{
		1780092600001:  `"2026-05-29T22:10:00.001Z"`,
		0:              `"1970-01-01T00:00:00.000Z"`,
		-1:             `"1969-12-31T23:59:59.999Z"`,
		maxMillis + 1:  `"+275760-09-13T00:00:00.000Z"`,
		-maxMillis - 1: `"-271821-04-20T00:00:00.000Z"`,
	} {
		if got := AppendTime([]byte("x"), ms); string(got) != "x"+want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
}

func FuzzTime(f *testing.F) {
	f.Add(int64(1780092600001), "2026-05-29T22:10:00.001Z")
	f.Add(int64(-62198755200000), "2026-05-29T22:10:00+02:00")
	f.Fuzz(func(t *testing.T, ms int64, s string) {
		got, ok := ParseTimeMillis(AppendTime(nil, ms))
		if !ok || got != min(max(ms, -maxMillis), maxMillis) {
			t.Errorf("%d → %d, %v", ms, got, ok)
		}
		if got, ok := parseISO(s); ok && s[0] != '+' && s[0] != '-' {
			if want, err := time.Parse(time.RFC3339Nano, s); err != nil || want.UnixMilli() != got {
				t.Errorf("%q: %d, want %d, %v", s, got, want.UnixMilli(), err)
			}
		}
	})
}
