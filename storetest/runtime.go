package storetest

import (
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// A step is one op on a provider with a history, and all that it must do to it.
type step struct {
	name    string
	op      func(op *poolkeeper.Op)
	count   int64
	healthy bool
	want    map[poolkeeper.Field]string // the fields that differ afterwards
}

const (
	recent = 4_000  // ms before base: the last error of the provider
	older  = 60_000 // its last use, check and refresh
)

// worn are the runtime fields of the provider that every step begins with.
var worn = `"usageCount":41,"errorCount":2,"refreshCount":1,"lastUsed":` + iso(base-older) +
	`,"lastErrorTime":` + iso(base-recent) + `,"lastErrorMessage":"old","isHealthy":true,"lastHealthCheckTime":null,` +
	`"lastHealthCheckModel":"m0","needsRefresh":true,"lastRefreshTime":` + strconv.FormatInt(base-older, 10) + `,"_lastSelectionSeq":17`

var (
	nowISO   = iso(base)
	nowMilli = strconv.FormatInt(base, 10)
)

// healed are the fields after what makes a provider healthy.
func healed(more map[poolkeeper.Field]string) map[poolkeeper.Field]string {
	m := map[poolkeeper.Field]string{
		poolkeeper.ErrorCount: "0", poolkeeper.RefreshCount: "0", poolkeeper.NeedsRefresh: "false",
		poolkeeper.LastErrorTime: "null", poolkeeper.LastErrorMessage: "null",
	}
	for f, lit := range more {
		m[f] = lit
	}
	return m
}

// failed are the fields after an error was counted.
func failed(count string, more map[poolkeeper.Field]string) map[poolkeeper.Field]string {
	m := map[poolkeeper.Field]string{
		poolkeeper.ErrorCount: count, poolkeeper.LastErrorTime: nowISO, poolkeeper.RefreshCount: "0", poolkeeper.NeedsRefresh: "false",
	}
	for f, lit := range more {
		m[f] = lit
	}
	return m
}

type fields = map[poolkeeper.Field]string

var steps = []step{
	{"usage adds n and moves lastUsed", func(op *poolkeeper.Op) { op.Kind, op.N = poolkeeper.OpUsage, 5 },
		46, false, fields{poolkeeper.UsageCount: "46", poolkeeper.LastUsed: nowISO}},
	{"usage does not move lastUsed back", func(op *poolkeeper.Op) { op.Kind, op.N, op.At = poolkeeper.OpUsage, 1, base-2*older },
		42, false, fields{poolkeeper.UsageCount: "42"}},
	{"an error below the threshold is counted", func(op *poolkeeper.Op) { op.Kind, op.Threshold = poolkeeper.OpError, 4 },
		3, true, failed("3", fields{poolkeeper.LastUsed: nowISO})},
	{"an error without a threshold never makes unhealthy", func(op *poolkeeper.Op) { op.Kind = poolkeeper.OpError },
		3, true, failed("3", fields{poolkeeper.LastUsed: nowISO})},
	{"an error that reaches the threshold makes unhealthy", func(op *poolkeeper.Op) {
		op.Kind, op.Threshold, op.Message = poolkeeper.OpError, 3, text("HTTP 500 \"<b>\"\n\u2028 ü")
	}, 3, false, failed("3", fields{poolkeeper.LastUsed: nowISO, poolkeeper.IsHealthy: "false",
		poolkeeper.LastErrorMessage: "\"HTTP 500 \\\"<b>\\\"\\n\u2028 ü\""})},
	{"an error after the window begins a new count", func(op *poolkeeper.Op) {
		op.Kind, op.Threshold, op.At = poolkeeper.OpError, 2, base-recent+poolkeeper.ErrorWindow+1
	}, 1, true, failed("1", fields{poolkeeper.LastErrorTime: iso(base - recent + poolkeeper.ErrorWindow + 1),
		poolkeeper.LastUsed: iso(base - recent + poolkeeper.ErrorWindow + 1)})},
	{"an error at the end of the window is counted", func(op *poolkeeper.Op) {
		op.Kind, op.At = poolkeeper.OpError, base-recent+poolkeeper.ErrorWindow
	}, 3, true, failed("3", fields{poolkeeper.LastErrorTime: iso(base - recent + poolkeeper.ErrorWindow),
		poolkeeper.LastUsed: iso(base - recent + poolkeeper.ErrorWindow)})},
	{"an immediate error makes unhealthy at once", func(op *poolkeeper.Op) { op.Kind, op.Threshold, op.Immediate = poolkeeper.OpError, 10, true },
		10, false, failed("10", fields{poolkeeper.LastUsed: nowISO, poolkeeper.IsHealthy: "false"})},
	{"an error with a recovery time is immediate", func(op *poolkeeper.Op) {
		op.Kind, op.Threshold, op.RecoverAt = poolkeeper.OpError, 10, base+older
	}, 10, false, failed("10", fields{poolkeeper.LastUsed: nowISO, poolkeeper.IsHealthy: "false", poolkeeper.ScheduledRecoveryTime: iso(base + older)})},
	{"a success heals and counts", func(op *poolkeeper.Op) { op.Kind, op.N = poolkeeper.OpSuccess, 2 },
		43, true, healed(fields{poolkeeper.UsageCount: "43", poolkeeper.LastUsed: nowISO, poolkeeper.LastRefreshTime: nowMilli, poolkeeper.LastSelectionSeq: "0"})},
	{"a success of a health check notes the model", func(op *poolkeeper.Op) { op.Kind, op.Model = poolkeeper.OpSuccess, text("m\\1") },
		41, true, healed(fields{poolkeeper.LastUsed: nowISO, poolkeeper.LastRefreshTime: nowMilli, poolkeeper.LastSelectionSeq: "0",
			poolkeeper.LastHealthCheckTime: nowISO, poolkeeper.LastHealthCheckModel: `"m\\1"`})},
	{"a good health check heals without counting use", func(op *poolkeeper.Op) { op.Kind, op.Healthy = poolkeeper.OpHealth, true },
		0, true, healed(fields{poolkeeper.LastRefreshTime: nowMilli, poolkeeper.LastSelectionSeq: "0", poolkeeper.LastHealthCheckTime: nowISO})},
	{"a bad health check makes unhealthy", func(op *poolkeeper.Op) {
		op.Kind, op.Threshold, op.Model, op.Message = poolkeeper.OpHealth, 7, text("m1"), text("no")
	}, 7, false, failed("7", fields{poolkeeper.IsHealthy: "false", poolkeeper.LastHealthCheckTime: nowISO,
		poolkeeper.LastHealthCheckModel: `"m1"`, poolkeeper.LastErrorMessage: `"no"`})},
	{"reset heals and keeps the usage", func(op *poolkeeper.Op) { op.Kind = poolkeeper.OpReset },
		41, true, healed(fields{poolkeeper.ScheduledRecoveryTime: "null"})},
	{"reset with usage sets it to 0", func(op *poolkeeper.Op) { op.Kind, op.Usage = poolkeeper.OpReset, true },
		0, true, healed(fields{poolkeeper.ScheduledRecoveryTime: "null", poolkeeper.UsageCount: "0"})},
	{"a refresh that started is counted", func(op *poolkeeper.Op) { op.Kind, op.Phase = poolkeeper.OpRefresh, poolkeeper.RefreshStarted },
		2, true, fields{poolkeeper.RefreshCount: "2"}},
	{"a refresh that is done clears its state", func(op *poolkeeper.Op) { op.Kind, op.Phase = poolkeeper.OpRefresh, poolkeeper.RefreshDone },
		0, true, fields{poolkeeper.NeedsRefresh: "false", poolkeeper.RefreshCount: "0", poolkeeper.ErrorCount: "0",
			poolkeeper.LastRefreshTime: nowMilli, poolkeeper.LastHealthCheckTime: nowISO}},
	{"a refresh that failed counts an error", func(op *poolkeeper.Op) {
		op.Kind, op.Phase, op.Threshold, op.Message = poolkeeper.OpRefresh, poolkeeper.RefreshFailed, 4, text("x")
	}, 3, true, fields{poolkeeper.ErrorCount: "3", poolkeeper.LastErrorTime: nowISO, poolkeeper.LastErrorMessage: `"x"`,
		poolkeeper.NeedsRefresh: "false", poolkeeper.LastRefreshTime: nowMilli}},
	{"a refresh that failed too often makes unhealthy", func(op *poolkeeper.Op) {
		op.Kind, op.Phase, op.Threshold = poolkeeper.OpRefresh, poolkeeper.RefreshFailed, 3
	}, 3, false, fields{poolkeeper.ErrorCount: "3", poolkeeper.LastErrorTime: nowISO, poolkeeper.IsHealthy: "false"}},
}

var runtimeCases = []testCase{
	{"each op changes its fields and no others", func(t *testing.T, h Harness) {
		f := start(t, h)
		for i, s := range steps {
			r := ref("t", "p"+strconv.Itoa(i))
			f.do(add(r, worn))
			before := f.provider(r)
			op := on("", r)
			s.op(&op)
			res := f.do(op)
			if res.ID != r.ID || res.Count != s.count || res.Healthy != s.healthy || !res.Changed {
				t.Errorf("%s: result %+v, want count %d, healthy %v", s.name, res, s.count, s.healthy)
			}
			after := f.provider(r)
			for _, field := range poolkeeper.Fields() {
				want, changed := s.want[field]
				if !changed {
					want = before.Literal(field)
				}
				if got := after.Literal(field); got != want {
					t.Errorf("%s: %s is %q, want %q", s.name, field, got, want)
				}
			}
			if string(after.Definition) != string(before.Definition) {
				t.Errorf("%s: the definition changed", s.name)
			}
			if decided := after.State.DecidedAt; (decided == op.At) == (op.Kind == poolkeeper.OpUsage) {
				t.Errorf("%s: decided at %d, op at %d", s.name, decided, op.At)
			}
		}
	}},
	{"a refresh is needed unless there was one just now", func(t *testing.T, h Harness) {
		f := start(t, h)
		for i, c := range []struct {
			last string
			want bool
		}{
			{"null", true},
			{strconv.FormatInt(base-poolkeeper.RefreshPause, 10), true},
			{strconv.FormatInt(base-poolkeeper.RefreshPause+1, 10), false},
			{iso(base - 1), false},
			{`"never"`, true},
		} {
			r := ref("t", "p"+strconv.Itoa(i))
			f.do(add(r, `"needsRefresh":false,"refreshCount":3,"lastRefreshTime":`+c.last))
			op := on(poolkeeper.OpRefresh, r)
			op.Phase = poolkeeper.RefreshNeeded
			res := f.do(op)
			p := f.provider(r)
			if got := p.Literal(poolkeeper.NeedsRefresh); res.Changed != c.want || (got == "true") != c.want || res.Count != 3 {
				t.Errorf("last refresh %s: changed %v, needsRefresh %s, count %d; want %v", c.last, res.Changed, got, res.Count, c.want)
			}
			if !c.want && p.State.DecidedAt != 0 {
				t.Errorf("last refresh %s: what was not needed counts as a decision", c.last)
			}
		}
	}},
	{"the error window reads every form of time", func(t *testing.T, h Harness) {
		f := start(t, h)
		at := base + 5_000
		for i, c := range []struct {
			last string
			in   bool
		}{
			{`"2026-01-25T10:30:00.000Z"`, true}, {`"2026-01-25T10:30:00Z"`, true}, {`"2026-01-25T10:29:55Z"`, true},
			{`"2026-01-25T10:29:54.999Z"`, false}, {`"2026-01-25T10:29:54.9999999Z"`, false}, {`"2026-01-25T10:29:55.0001Z"`, true},
			{`"2026-01-25T11:30:00+01:00"`, true}, {`"2026-01-25T10:30:00+01:00"`, false}, {`"2026-01-25T08:00:00.5-02:30"`, true},
			{strconv.FormatInt(base, 10), true}, {strconv.FormatInt(base-5_001, 10), false}, {strconv.FormatInt(base, 10) + ".9", false},
			{`"` + strconv.FormatInt(base, 10) + `"`, false}, {`"2027-01-01T00:00:00.000Z"`, true}, {`"2026-02-30T10:30:00.000Z"`, false},
			{`"2026-01-25 10:30:00"`, false}, {`"2026-01-25T10:30Z"`, false}, {`"2026-1-25T10:30:00Z"`, false},
			{`"2026-01-25T10:30:00"`, false}, {`"2026-01-25T10:30:00z"`, false}, {`"2026-01-25T10:30:00,5Z"`, false},
			{`"2026-01-25T10:30:00.Z"`, false}, {`"2026-01-25T25:30:00Z"`, false}, {`"2026-01-25T10:60:00Z"`, false},
			{`"\u0032026-01-25T10:30:00Z"`, true}, {`"+002026-01-25T10:30:00.000Z"`, true}, {`""`, false}, {"null", false}, {"true", false},
			{"[]", false}, {"{}", false}, {"0", false}, {"-1", false}, {"1e400", false}, {`" 2026-01-25T10:30:00Z"`, false},
		} {
			r := ref("t", "p"+strconv.Itoa(i))
			f.do(add(r, `"errorCount":5,"lastErrorTime":`+c.last))
			op := on(poolkeeper.OpError, r)
			op.At = at
			want := int64(1)
			if c.in {
				want = 6
			}
			if res := f.do(op); res.Count != want {
				t.Errorf("last error %s: count %d, want %d", c.last, res.Count, want)
			}
		}
	}},
	{"a time that is not in the gateway's form is replaced", func(t *testing.T, h Harness) {
		f := start(t, h)
		for i, c := range []struct{ last, want string }{
			{iso(base + 1), iso(base + 1)}, {iso(base), nowISO}, {"null", nowISO}, {`""`, nowISO}, {`"2027-01-01T00:00:00Z"`, nowISO},
			{strconv.FormatInt(base+1, 10), nowISO}, {`"9999-12-31T23:59:59.999Z"`, `"9999-12-31T23:59:59.999Z"`}, {`"zzzz-zz-zzTzz:zz:zz.zzzZ"`, nowISO},
		} {
			r := ref("t", "p"+strconv.Itoa(i))
			f.do(add(r, `"lastUsed":`+c.last), usage(r, 1))
			if got := f.provider(r).Literal(poolkeeper.LastUsed); got != c.want {
				t.Errorf("lastUsed %s became %s, want %s", c.last, got, c.want)
			}
		}
	}},
	{"health is read as JavaScript would", func(t *testing.T, h Harness) {
		f := start(t, h)
		for i, c := range []struct {
			members string
			want    bool
		}{
			{"", true}, {`"isHealthy":true`, true}, {`"isHealthy":false`, false}, {`"isHealthy":null`, false}, {`"isHealthy":0`, false},
			{`"isHealthy":-0.0e5`, false}, {`"isHealthy":1`, true}, {`"isHealthy":0.10`, true}, {`"isHealthy":""`, false},
			{`"isHealthy":"false"`, true}, {`"isHealthy":[]`, true}, {`"isHealthy":{}`, true},
			{`"isHealthy":true,"isHealthy":false`, false}, {`"is\u0048ealthy":false`, false},
		} {
			r := ref("t", "p"+strconv.Itoa(i))
			f.do(add(r, c.members))
			if got := f.provider(r).Healthy(); got != c.want {
				t.Errorf("%s: healthy %v as read, want %v", c.members, got, c.want)
			}
			if res := f.do(on(poolkeeper.OpError, r)); res.Healthy != c.want {
				t.Errorf("%s: healthy %v as answered, want %v", c.members, res.Healthy, c.want)
			}
		}
	}},
	{"the last decision is known by the latest time", func(t *testing.T, h Harness) {
		f := start(t, h)
		a := ref("t", "a")
		late, early := on(poolkeeper.OpError, a), on(poolkeeper.OpReset, a)
		late.At, early.At = base+10, base
		f.do(add(a, ""), late, early)
		if p := f.provider(a); p.State.DecidedAt != base+10 || p.Literal(poolkeeper.ErrorCount) != "0" {
			t.Errorf("decided at %d, errorCount %s; want the latest time and the last op", p.State.DecidedAt, p.Literal(poolkeeper.ErrorCount))
		}
	}},
}
