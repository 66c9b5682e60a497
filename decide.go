package poolkeeper

import (
	"math"
	"strconv"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// Decide applies an op on runtime state to a provider, given the literals of
// its definition. It is the one statement in Go of what those ops mean; the
// rules are those of the gateway, see [OpKind]. The result has Count, Healthy
// and Changed. Ops of other kinds are ErrInvalid.
func Decide(op *Op, def *Literals, s *State) Result {
	d := decision{op: op, def: def, s: s, before: *s}
	switch op.Kind {
	case OpUsage:
		d.result.Count = d.add(UsageCount, op.N)
		d.later(LastUsed)
	case OpError:
		d.fail(op.Immediate || op.RecoverAt > 0)
		d.later(LastUsed)
		if op.RecoverAt > 0 {
			d.time(ScheduledRecoveryTime, op.RecoverAt)
		}
		d.result.Count = d.count(ErrorCount)
	case OpSuccess:
		d.recover()
		if op.Model != nil {
			d.checked()
		}
		d.result.Count = d.count(UsageCount)
		if op.N > 0 {
			d.result.Count = d.add(UsageCount, op.N)
		}
		d.later(LastUsed)
	case OpHealth:
		if op.Healthy {
			d.recover()
		} else {
			d.fail(true)
		}
		d.checked()
		d.result.Count = d.count(ErrorCount)
	case OpRefresh:
		d.refresh()
	case OpReset:
		d.clear()
		s.Set(ScheduledRecoveryTime, "null")
		if op.Usage {
			s.Set(UsageCount, "0")
		}
		d.result.Count = d.count(UsageCount)
	default:
		return Result{Err: Errorf(ErrInvalid, "op %q is no op on runtime state", string(op.Kind))}
	}
	if op.Kind != OpUsage && !d.declined {
		s.DecidedAt = max(s.DecidedAt, op.At)
	}
	d.result.ID = op.ID
	d.result.Healthy = op.Kind != OpUsage && Healthy(s.Effective(IsHealthy, def))
	// An increment counts, even where a saturated counter hides it.
	d.result.Changed = op.Kind == OpUsage || *s != d.before
	return d.result
}

type decision struct {
	op     *Op
	def    *Literals
	s      *State
	before State
	result Result
	// declined says that the op decided to leave everything as it is.
	declined bool
}

func (d *decision) literal(f Field) string { return d.s.Effective(f, d.def) }

func (d *decision) count(f Field) int64 { return Int(d.literal(f)) }

// add adds n to a counter and saturates at the largest int64.
func (d *decision) add(f Field, n int64) int64 {
	c := AddCount(d.count(f), n)
	d.s.Set(f, strconv.FormatInt(c, 10))
	return c
}

func (d *decision) time(f Field, at int64) {
	d.s.Set(f, timeLiteral(at))
}

func timeLiteral(at int64) string {
	var few [32]byte
	return string(rawjson.AppendTime(few[:0], at))
}

// later moves a time forward to that of the op, never back. A literal that is
// not in the form that the gateway writes is replaced.
func (d *decision) later(f Field) {
	next := timeLiteral(d.op.At)
	if old := d.literal(f); !IsCanonicalTime(old) || old < next {
		d.s.Set(f, next)
	}
}

// IsCanonicalTime reports whether a literal is a time as the gateway writes
// it, "2006-01-02T15:04:05.000Z" in quotes: such literals compare as text.
func IsCanonicalTime(lit string) bool {
	const form = `"0000-00-00T00:00:00.000Z"`
	if len(lit) != len(form) {
		return false
	}
	for i := range len(form) {
		if form[i] == '0' {
			if lit[i] < '0' || lit[i] > '9' {
				return false
			}
		} else if lit[i] != form[i] {
			return false
		}
	}
	return true
}

func (d *decision) message() {
	if d.op.Message != nil {
		d.s.Set(LastErrorMessage, string(rawjson.Quote(*d.op.Message)))
	}
}

func (d *decision) checked() {
	d.time(LastHealthCheckTime, d.op.At)
	if d.op.Model != nil {
		d.s.Set(LastHealthCheckModel, string(rawjson.Quote(*d.op.Model)))
	}
}

// fail counts an error. An unreadable or missing lastErrorTime begins a new
// window.
func (d *decision) fail(immediate bool) {
	last, ok := rawjson.ParseTimeMillis([]byte(d.literal(LastErrorTime)))
	switch {
	case immediate:
		d.s.Set(ErrorCount, strconv.FormatInt(d.op.Threshold, 10))
	case !ok || d.op.At-last > ErrorWindow:
		d.s.Set(ErrorCount, "1")
	default:
		d.add(ErrorCount, 1)
	}
	d.time(LastErrorTime, d.op.At)
	d.message()
	d.s.Set(NeedsRefresh, "false")
	d.s.Set(RefreshCount, "0")
	if immediate || d.op.Threshold > 0 && d.count(ErrorCount) >= d.op.Threshold {
		d.s.Set(IsHealthy, "false")
	}
}

func (d *decision) clear() {
	d.s.Set(IsHealthy, "true")
	d.s.Set(ErrorCount, "0")
	d.s.Set(RefreshCount, "0")
	d.s.Set(NeedsRefresh, "false")
	d.s.Set(LastErrorTime, "null")
	d.s.Set(LastErrorMessage, "null")
}

func (d *decision) recover() {
	d.clear()
	d.s.Set(LastRefreshTime, strconv.FormatInt(d.op.At, 10))
	d.s.Set(LastSelectionSeq, "0")
}

func (d *decision) refresh() {
	switch d.op.Phase {
	case RefreshNeeded:
		last, ok := rawjson.ParseTimeMillis([]byte(d.literal(LastRefreshTime)))
		d.declined = ok && d.op.At-last < RefreshPause
		if !d.declined {
			d.s.Set(NeedsRefresh, "true")
		}
		d.result.Count = d.count(RefreshCount)
	case RefreshStarted:
		d.result.Count = d.add(RefreshCount, 1)
	case RefreshDone:
		d.s.Set(NeedsRefresh, "false")
		d.s.Set(RefreshCount, "0")
		d.s.Set(ErrorCount, "0")
		d.s.Set(LastRefreshTime, strconv.FormatInt(d.op.At, 10))
		d.time(LastHealthCheckTime, d.op.At)
		d.result.Count = 0
	case RefreshFailed:
		d.result.Count = d.add(ErrorCount, 1)
		d.time(LastErrorTime, d.op.At)
		d.message()
		if d.op.Threshold > 0 && d.result.Count >= d.op.Threshold {
			d.s.Set(IsHealthy, "false")
		} else {
			d.s.Set(NeedsRefresh, "false")
			d.s.Set(LastRefreshTime, strconv.FormatInt(d.op.At, 10))
		}
	}
}

// AddCount adds n, which is not negative, to a counter. It saturates at the
// largest int64.
func AddCount(count, n int64) int64 {
	if count > math.MaxInt64-n {
		return math.MaxInt64
	}
	return count + n
}
