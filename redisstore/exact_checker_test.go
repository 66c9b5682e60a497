package redisstore_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// exactTotals are the outcomes of the increments of a run.
type exactTotals struct {
	acked, refused, unknown, inFlight int
	impatient                         int // of those, refused or unknown because the caller had a deadline
	kills, otherKills                 int
	other                             map[string]int
}

// check reads Redis with plain commands and the logs of all processes, and
// holds them against each other. No code of the store takes part in it.
func (r *exactRun) check(took time.Duration) {
	totals := exactTotals{other: map[string]int{}}
	histories := map[string]*exactHistory{}
	for _, c := range exactCounters {
		histories[c.name] = &exactHistory{}
	}
	lost, replayed := int64(0), int64(0)
	for _, p := range r.procs {
		rec, err := readExactLog(p.Log)
		if err != nil {
			r.Fatal(err)
		}
		silent := r.collect(p, rec, histories, &totals)
		if r.Mode == exactCuts && p.role == exactCounting && p.slot%2 == 0 {
			// Each answer that this proxy kept back was one to a script. As long
			// as more were kept back than callers went without an answer, some
			// of them were got by sending the batch again.
			n := p.proxy.Counts()
			kept := n[redistest.FaultCutAfter] + n[redistest.FaultCutMid]
			lost, replayed = lost+kept, replayed+max(0, kept-int64(silent))
		}
	}
	r.checkStored(histories)
	for _, text := range r.watched.wrong {
		r.Error(text)
	}
	r.checkHappened(&totals, replayed)
	done := totals.acked + totals.refused + totals.unknown + totals.inFlight
	if done != r.Ops {
		r.Errorf("%d increments were tried, want %d", done, r.Ops)
	}
	r.Logf("%d increments by %d x %d callers in %.1f s (%.0f/s): %d acknowledged, %d unknown, %d in flight at a kill, %d refused",
		done, r.Procs, r.Callers, took.Seconds(), float64(done)/took.Seconds(), totals.acked, totals.unknown, totals.inFlight, totals.refused)
	r.Logf("beside: %s; %d loads of pools (%d unanswered), %d generations seen", exactList(totals.other), r.watched.loads, r.watched.unanswered, len(r.watched.generations))
	switch r.Mode {
	case exactCuts:
		r.Logf("faults: %s, %d pauses; %d answers to scripts lost where all callers wait, of which %d or more were got by sending again", exactList(r.faults()), r.pauses, lost, replayed)
	case exactKills:
		r.Logf("kills: %d of %d counting processes, %d of the changing one", totals.kills, r.Procs*exactLives, totals.otherKills)
	}
}

// collect adds what the log of a process says. It returns how many calls of
// scripts came to no answer.
func (r *exactRun) collect(p *exactProcess, rec *exactRecord, histories map[string]*exactHistory, totals *exactTotals) (silent int) {
	who := fmt.Sprintf("process %d.%d", p.slot, p.Life)
	for _, text := range rec.wrong {
		r.Errorf("%s: %s", who, text)
	}
	if p.killed() {
		if p.role == exactCounting {
			totals.kills++
		} else {
			totals.otherKills++
		}
	} else if !rec.ended {
		r.Errorf("%s ended without a last line in its log", who)
	}
	for what, n := range rec.other {
		totals.other[what] += n
		_, code, _ := strings.Cut(what, " ")
		switch {
		case code == "ok":
		case r.Mode == exactCuts && slices.Contains([]string{"unavailable", "indeterminate", "exists", "not-found"}, code):
			silent += n
		default:
			r.Errorf("%s: %d times %s", who, n, what)
		}
	}
	complaints := 0
	complain := func(format string, args ...any) {
		if complaints++; complaints <= 5 {
			r.Errorf(who+": "+format, args...)
		}
	}
	for i := range rec.ops {
		op := &rec.ops[i]
		h := histories[op.provider]
		if h == nil {
			r.Fatalf("%s counted for %s, who is not there", who, op.provider)
		}
		excused := op.deadline || r.Mode == exactCuts
		switch op.outcome {
		case 'a':
			totals.acked++
			h.acked = append(h.acked, exactSpan{op.count - op.n, op.count})
			if op.count-op.n < op.least {
				complain("%s: %v: an increment by %d was answered with %d, after %d had been answered before it began", op.provider, errExactBackward, op.n, op.count, op.least)
			}
		case 'r':
			totals.refused++
			if !excused || op.code != "unavailable" && !(op.deadline && op.code == "timeout") {
				complain("%s: an increment was refused: %s", op.provider, op.code)
			}
		case 'u':
			totals.unknown++
			h.unknown = append(h.unknown, op.n)
			if !excused {
				complain("%s: the outcome of an increment is unknown", op.provider)
			}
		default:
			totals.inFlight++
			h.unknown = append(h.unknown, op.n)
			if !p.killed() {
				complain("%s: an increment was never answered", op.provider)
			}
		}
		if op.outcome != 'a' && op.outcome != 0 {
			silent++
			if op.deadline {
				totals.impatient++
			}
		}
	}
	return silent
}

// checkHappened makes sure that the run was what it should be: what does not
// happen shows nothing.
func (r *exactRun) checkHappened(totals *exactTotals, replayed int64) {
	for _, what := range []string{"patch", "health", "replace", "rename", "add", "delete"} {
		if totals.other[what+" ok"] == 0 {
			r.Errorf("meanwhile there was no %s", what)
		}
	}
	if n := len(r.watched.generations); n < 2 || r.watched.loads < 6 {
		r.Errorf("the readers saw %d generations of the replaced pool in %d loads", n, r.watched.loads)
	}
	switch r.Mode {
	case exactCuts:
		counts := r.faults()
		for _, fault := range []string{redistest.FaultCutBefore, redistest.FaultCutAfter, redistest.FaultCutMid, redistest.FaultDelay} {
			if counts[fault] == 0 {
				r.Errorf("the proxies made no fault of the kind %s", fault)
			}
		}
		if r.pauses == 0 {
			r.Error("Redis was never paused")
		}
		if replayed == 0 {
			r.Error("no answer that was lost was got by sending again")
		}
		if missed := totals.refused + totals.unknown - totals.impatient; missed > r.Ops/100 {
			r.Errorf("%d of %d increments whose callers waited were not acknowledged", missed, r.Ops)
		}
	case exactKills:
		if totals.kills < r.Procs {
			r.Errorf("%d processes were killed, want %d or more", totals.kills, r.Procs)
		}
		if totals.inFlight == 0 {
			r.Error("nothing was in flight when processes were killed")
		}
	}
}

// faults adds up what the proxies did.
func (r *exactRun) faults() map[string]int {
	all := map[string]int{}
	for _, p := range r.proxies {
		for fault, n := range p.Counts() {
			all[fault] += int(n)
		}
	}
	return all
}

// exactList prints counts in the order of their names.
func exactList(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}
