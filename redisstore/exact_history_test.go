package redisstore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// An exactHistory is what all callers together were told about the increments
// of one provider.
//
// An increment by n that was answered with the count c owns the numbers
// (c-n, c]: nobody else may have been given one of them. Taken together, the
// numbers from the base to the stored count belong each to one increment that
// was acknowledged, or to one whose outcome nobody was told; and everything
// that was acknowledged is there. Where a fault hides a loss behind a double
// count, the sum still fits, and the intervals do not.
type exactHistory struct {
	acked   []exactSpan
	unknown []int64 // the n of each increment without a known outcome
}

// An exactSpan is an acknowledged increment: the numbers (from, to].
type exactSpan struct{ from, to int64 }

// What a history can show to be broken.
var (
	errExactLost     = errors.New("an acknowledged increment is lost")
	errExactTwice    = errors.New("something was counted twice, or though it was refused")
	errExactOverlap  = errors.New("two callers were given the same number")
	errExactNobody   = errors.New("counted for nobody")
	errExactBackward = errors.New("the count went back")
)

// check holds a history against the count before it all and the stored one.
func (h *exactHistory) check(base, stored int64) error {
	var acked, unknown int64
	for _, s := range h.acked {
		acked += s.to - s.from
	}
	for _, n := range h.unknown {
		unknown += n
	}
	switch delta := stored - base; {
	case delta < acked:
		return fmt.Errorf("%w: %d were acknowledged, the count grew by %d", errExactLost, acked, delta)
	case delta > acked+unknown:
		return fmt.Errorf("%w: the count grew by %d, by %d more than were acknowledged (%d) or may have been applied (%d)",
			errExactTwice, delta, delta-acked-unknown, acked, unknown)
	}
	spans := slices.Clone(h.acked)
	slices.SortFunc(spans, func(a, b exactSpan) int {
		if a.to != b.to {
			if a.to < b.to {
				return -1
			}
			return 1
		}
		return 0
	})
	var gaps []int64
	at := base // all numbers up to here have an owner
	for _, s := range spans {
		switch {
		case s.from < base:
			return fmt.Errorf("%w: one was answered with the numbers (%d, %d], below the base %d", errExactLost, s.from, s.to, base)
		case s.from < at:
			return fmt.Errorf("%w: one was answered with (%d, %d], and (…, %d] is another's", errExactOverlap, s.from, s.to, at)
		case s.to > stored:
			return fmt.Errorf("%w: one was answered with (%d, %d], the stored count is %d", errExactLost, s.from, s.to, stored)
		case s.from > at:
			gaps = append(gaps, s.from-at)
		}
		at = s.to
	}
	if at < stored {
		gaps = append(gaps, stored-at)
	}
	if !exactFills(gaps, h.unknown) {
		return fmt.Errorf("%w: the numbers without an owner, in pieces of %v, are no sum of increments of unknown outcome, which are %s",
			errExactNobody, gaps, exactTally(h.unknown))
	}
	return nil
}

// exactFills reports whether each gap can be filled to the last by some of the
// increments, each used at most once. Increments add 1 to 3.
func exactFills(gaps, increments []int64) bool {
	var have [4]int
	for _, n := range increments {
		have[n]++
	}
	// ones :: how many twos and threes were used up so far → the fewest ones
	// that it took beside them.
	type used struct{ twos, threes int }
	ones := map[used]int{{}: 0}
	for _, gap := range gaps {
		next := map[used]int{}
		for u, one := range ones {
			for c := 0; c <= have[3]-u.threes && int64(3*c) <= gap; c++ {
				for b := 0; b <= have[2]-u.twos && int64(3*c+2*b) <= gap; b++ {
					a := one + int(gap) - 3*c - 2*b
					if a > have[1] {
						continue
					}
					v := used{u.twos + b, u.threes + c}
					if least, ok := next[v]; !ok || a < least {
						next[v] = a
					}
				}
			}
		}
		ones = next
	}
	return len(ones) > 0
}

func exactTally(increments []int64) string {
	if len(increments) == 0 {
		return "none"
	}
	var have [4]int
	for _, n := range increments {
		have[n]++
	}
	var parts []string
	for n, c := range have {
		if c > 0 {
			parts = append(parts, fmt.Sprintf("%d of %d", c, n))
		}
	}
	return strings.Join(parts, ", ")
}

// The check itself is checked: it finds each way to be wrong, and lets pass
// what may be.
func TestExactHistory(t *testing.T) {
	span := func(to, n int64) exactSpan { return exactSpan{to - n, to} }
	for _, c := range []struct {
		name    string
		acked   []exactSpan
		unknown []int64
		stored  int64
		want    error
	}{
		{"nothing happened", nil, nil, 10, nil},
		{"all acknowledged, in any order", []exactSpan{span(16, 3), span(11, 1), span(13, 2)}, nil, 16, nil},
		{"one missing", []exactSpan{span(11, 1), span(13, 2)}, nil, 11, errExactLost},
		{"one too many", []exactSpan{span(11, 1), span(13, 2)}, nil, 15, errExactTwice},
		{"one lost and one counted twice", []exactSpan{span(11, 1), span(12, 1), span(12, 1)}, nil, 13, errExactOverlap},
		{"an overlap by a part", []exactSpan{span(12, 2), span(14, 3)}, []int64{1}, 15, errExactOverlap},
		{"answered beyond what is stored", []exactSpan{span(11, 1), span(14, 1)}, []int64{1, 1}, 13, errExactLost},
		{"answered below the base", []exactSpan{span(9, 1)}, nil, 11, errExactLost},
		{"unknown and applied", []exactSpan{span(11, 1), span(14, 1)}, []int64{2}, 14, nil},
		{"unknown and not applied", []exactSpan{span(11, 1), span(12, 1)}, []int64{2}, 12, nil},
		{"unknown and applied at the end", []exactSpan{span(11, 1)}, []int64{3, 1}, 14, nil},
		{"a gap that no unknown one fills", []exactSpan{span(11, 1), span(13, 1)}, []int64{2}, 13, errExactNobody},
		{"two gaps and one that fills either", []exactSpan{span(12, 1), span(14, 1)}, []int64{1, 3}, 14, errExactNobody},
		{"two gaps that need the right choice", []exactSpan{span(14, 1), span(17, 1)}, []int64{1, 2, 2}, 17, nil},
		{"a gap of three by three ones", []exactSpan{span(14, 1)}, []int64{1, 1, 1}, 14, nil},
		{"unknown and applied twice", []exactSpan{span(11, 1)}, []int64{2}, 15, errExactTwice},
	} {
		h := exactHistory{c.acked, c.unknown}
		if err := h.check(10, c.stored); !errors.Is(err, c.want) || err != nil && c.want == nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}
