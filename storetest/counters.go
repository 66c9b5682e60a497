package storetest

import (
	"math"
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// counters are literals that stand where a counter should, and the integers
// that they denote.
var counters = []struct {
	literal string
	value   int64
}{
	{`0`, 0}, {`7`, 7}, {`9007199254740993`, 9007199254740993}, {`9223372036854775806`, math.MaxInt64 - 1},
	{`9223372036854775807`, math.MaxInt64}, {`9223372036854775808`, math.MaxInt64}, {`18446744073709551616`, math.MaxInt64},
	{`123456789012345678901234567890`, math.MaxInt64}, {`1e21`, math.MaxInt64}, {`1e400`, math.MaxInt64},
	{`-5`, -5}, {`-9223372036854775808`, math.MinInt64}, {`-1e400`, math.MinInt64}, {`-0`, 0},
	{`3.0`, 3}, {`2.5`, 2}, {`-2.5`, -2}, {`1e3`, 1000}, {`1.5E+2`, 150}, {`12345e-2`, 123}, {`1e-400`, 0},
	{`9007199254740993.9`, 9007199254740993}, {`0.9`, 0},
	{`"12"`, 12}, {`" 7 "`, 7}, {`"\t8\n"`, 8}, {`"\u0031\u0033"`, 13}, {`"1e2"`, 100}, {`"-4"`, -4}, {`"9007199254740993"`, 9007199254740993},
	{`""`, 0}, {`"abc"`, 0}, {`"0x10"`, 0}, {`"+5"`, 0}, {`"1_000"`, 0}, {`"12abc"`, 0}, {`"Infinity"`, 0}, {`"05"`, 0},
	{`true`, 0}, {`false`, 0}, {`null`, 0}, {`[]`, 0}, {`[5]`, 0}, {`{}`, 0},
}

// plusOne adds one and saturates.
func plusOne(n int64) int64 {
	if n == math.MaxInt64 {
		return n
	}
	return n + 1
}

var counterCases = []testCase{
	{"counters beyond 2^53 are exact", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"usageCount":9007199254740993`))
		for want := int64(9007199254740994); want < 9007199254741000; want++ {
			if got := f.do(usage(a, 1)).Count; got != want {
				t.Fatalf("answered %d, want %d", got, want)
			}
			if got := f.provider(a).Literal(poolkeeper.UsageCount); got != strconv.FormatInt(want, 10) {
				t.Fatalf("stored %s, want %d", got, want)
			}
		}
	}},
	{"counters saturate at 2^63-1", func(t *testing.T, h Harness) {
		f := start(t, h)
		for i, c := range []struct{ start, n, want int64 }{
			{math.MaxInt64 - 1, 1, math.MaxInt64},
			{math.MaxInt64 - 1, 2, math.MaxInt64},
			{math.MaxInt64, 1, math.MaxInt64},
			{math.MaxInt64 - poolkeeper.MaxUsage, poolkeeper.MaxUsage, math.MaxInt64},
			{math.MaxInt64 - poolkeeper.MaxUsage - 1, poolkeeper.MaxUsage, math.MaxInt64 - 1},
			{math.MinInt64, 1, math.MinInt64 + 1},
			{-1, 1, 0},
		} {
			r := ref("t", "p"+strconv.Itoa(i))
			f.do(add(r, `"usageCount":`+strconv.FormatInt(c.start, 10)))
			if got := f.do(usage(r, c.n)).Count; got != c.want {
				t.Errorf("%d + %d answered %d, want %d", c.start, c.n, got, c.want)
			}
			if got := f.do(usage(r, 1)).Count; got != plusOne(c.want) {
				t.Errorf("%d + %d + 1 answered %d, want %d", c.start, c.n, got, plusOne(c.want))
			}
		}
	}},
	{"a counter that is no number counts as what it denotes", func(t *testing.T, h Harness) {
		f := start(t, h)
		for i, c := range counters {
			r := ref("t", "p"+strconv.Itoa(i))
			f.do(add(r, `"usageCount":`+c.literal+`,"errorCount":`+c.literal+`,"refreshCount":`+c.literal+`,"lastErrorTime":`+nowISO))
			p := f.provider(r)
			if got := p.Literal(poolkeeper.UsageCount); got != c.literal {
				t.Errorf("%s reads %s before any op", c.literal, got)
			}
			started := on(poolkeeper.OpRefresh, r)
			started.Phase = poolkeeper.RefreshStarted
			for _, op := range []poolkeeper.Op{usage(r, 1), started, on(poolkeeper.OpError, r)} {
				if got := f.do(op).Count; got != plusOne(c.value) {
					t.Errorf("%s: %s answered %d, want %d", c.literal, op.Kind, got, plusOne(c.value))
				}
			}
			p = f.provider(r)
			if got := p.Literal(poolkeeper.UsageCount); got != strconv.FormatInt(plusOne(c.value), 10) {
				t.Errorf("%s: stored %s, want %d", c.literal, got, plusOne(c.value))
			}
		}
	}},
	{"a counter that is missing begins at 0", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, ""))
		if got := f.do(usage(a, 3)).Count; got != 3 {
			t.Errorf("answered %d, want 3", got)
		}
	}},
	{"the last of several members counts", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"usageCount":5,"usage\u0043ount":40,"x":{"usageCount":1}`))
		if got := f.do(usage(a, 2)).Count; got != 42 {
			t.Errorf("answered %d, want 42", got)
		}
	}},
	{"reset of the usage sticks over a definition that has one", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		f.do(add(a, `"usageCount":500`))
		op := on(poolkeeper.OpReset, a)
		op.Usage = true
		f.do(op)
		if got := f.do(usage(a, 1)).Count; got != 1 {
			t.Errorf("answered %d after a reset, want 1", got)
		}
	}},
	{"one call may have more ops than a batch", func(t *testing.T, h Harness) {
		f := start(t, h)
		f.do(add(ref("t", "a"), ""), add(ref("t", "b"), ""))
		ops := make([]poolkeeper.Op, 2_500)
		for i := range ops {
			ops[i] = usage(ref("t", []string{"a", "b"}[i%2]), 1)
		}
		for i, r := range f.b.Apply(f.ctx, ops...) {
			if want := int64(i/2 + 1); r.Err != nil || r.Count != want {
				t.Fatalf("op %d: count %d, error %v; want %d", i, r.Count, r.Err, want)
			}
		}
	}},
}
