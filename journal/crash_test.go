package journal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
	"github.com/poolkeeper/poolkeeper/journal"
)

// small makes the scenario go through many segments.
const small = 150

// A scenario appends, trims, closes and opens again. acked is told of each
// record that was acknowledged, tried of each that was given to Append.
func scenario(segmentBytes int64, openFS func() (vfs.FS, error), tried, acked func(seq uint64, record string)) error {
	n := 0
	for round := range 3 {
		fsys, err := openFS()
		if err != nil {
			return err
		}
		j, err := journal.Open("DIR", &journal.Options{FS: fsys, SegmentBytes: segmentBytes})
		if err != nil {
			return err
		}
		var failed error
		for i := range 6 {
			var records [][]byte
			for range i%3 + 1 {
				n++
				records = append(records, fmt.Appendf(nil, "%d-%d:%s", round, n, strings.Repeat("x", n%40)))
			}
			for _, r := range records {
				tried(0, string(r))
			}
			first, err := j.Append(context.Background(), nil, records...)
			if err != nil {
				failed = err
				continue
			}
			for k, r := range records {
				acked(first+uint64(k), string(r))
			}
		}
		if err := j.Trim(j.First() + 3); err != nil {
			failed = err
		}
		j.Close()
		if failed != nil {
			return failed
		}
	}
	return nil
}

// A ledger is what a scenario has told.
type ledger struct {
	tried []string
	acked map[uint64]string
}

func newLedger() *ledger { return &ledger{acked: map[uint64]string{}} }

func (l *ledger) try(_ uint64, record string)   { l.tried = append(l.tried, record) }
func (l *ledger) ack(seq uint64, record string) { l.acked[seq] = record }

// check opens the journal and looks whether all that was acknowledged is there,
// and nothing that was not tried. extra says how many records may be there that
// were not acknowledged.
func (l *ledger) check(fsys vfs.FS, extra int) error {
	fsys = unclosed{fsys}
	j, err := journal.Open("DIR", &journal.Options{FS: fsys, SegmentBytes: small})
	if err != nil {
		return fmt.Errorf("it does not open: %w", err)
	}
	defer j.Close()
	seen := uint64(0)
	if err := j.Read(0, func(seq uint64, data []byte) error {
		seen = seq
		want, ok := l.acked[seq]
		switch {
		case ok && want != string(data):
			return fmt.Errorf("record %d is %q, and was acknowledged as %q", seq, data, want)
		case !ok && (extra == 0 || !slices.Contains(l.tried, string(data))):
			return fmt.Errorf("record %d, %q, was never acknowledged", seq, data)
		case !ok:
			extra--
		}
		return nil
	}); err != nil {
		return err
	}
	for seq, r := range l.acked {
		if seq >= j.First() && seq > seen {
			return fmt.Errorf("record %d, %q, was acknowledged and is gone; the last is %d", seq, r, seen)
		}
	}
	first, err := j.Append(context.Background(), nil, []byte("after"))
	if err != nil {
		return fmt.Errorf("nothing can be appended: %w", err)
	}
	if _, reused := l.acked[first]; reused {
		return fmt.Errorf("the sequence %d is given again", first)
	}
	j.Close()
	again, err := journal.Open("DIR", &journal.Options{FS: fsys, SegmentBytes: small})
	if err != nil {
		return fmt.Errorf("it does not open again: %w", err)
	}
	defer again.Close()
	if again.Torn() != 0 || again.Last() != first {
		return fmt.Errorf("opened again, it ends with %d, not %d, and %d bytes were torn", again.Last(), first, again.Torn())
	}
	return nil
}

// unclosed stays open when a journal closes it.
type unclosed struct{ vfs.FS }

func (unclosed) Close() error { return nil }

// calls counts the calls of a scenario that change something.
func calls(t *testing.T, segmentBytes int64) int {
	t.Helper()
	m, plan := faultfs.NewMemory(), &faultfs.Plan{}
	l := newLedger()
	if err := scenario(segmentBytes, func() (vfs.FS, error) { return faultfs.New(m, plan), nil }, l.try, l.ack); err != nil {
		t.Fatal(err)
	}
	if err := l.check(m, 0); err != nil {
		t.Fatal(err)
	}
	return plan.Count()
}

// The power is cut at each call, and of what was written and not synced
// nothing, all, a part, or something else has reached the disk.
func TestPowerCutAtEachCall(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	keeps := map[string]func(string, []byte, []byte) []byte{
		"nothing": nil,
		"all":     func(_ string, _, written []byte) []byte { return written },
		"a part":  func(_ string, synced, written []byte) []byte { return mix(r, synced, written, false) },
		"holes":   func(_ string, synced, written []byte) []byte { return mix(r, synced, written, true) },
	}
	for _, segmentBytes := range []int64{small, 5 * small} {
		n := calls(t, segmentBytes)
		for name, keep := range keeps {
			for _, fault := range []faultfs.Fault{faultfs.Kill, faultfs.Tear} {
				for at := 1; at <= n; at++ {
					m := faultfs.NewMemory()
					plan := &faultfs.Plan{At: at, Fault: fault, Die: func() {}}
					l := newLedger()
					scenario(segmentBytes, func() (vfs.FS, error) { return faultfs.New(m, plan), nil }, l.try, l.ack)
					if name != "nothing" {
						m.KeepName = func(string) bool { return r.IntN(2) == 0 }
					}
					m.CutPower(keep)
					if err := l.check(m, 3); err != nil {
						t.Errorf("%s of what was not synced is kept, cut at call %d, %s, segments of %d: %v", name, at, last(plan.Calls()), segmentBytes, err)
					}
				}
			}
		}
	}
}

// The process is killed at each call; another one opens the journal, reads it
// and appends; then the power is cut. What the second one was told is there.
func TestPowerCutAfterKill(t *testing.T) {
	n := calls(t, small)
	for at := 1; at <= n; at++ {
		m := faultfs.NewMemory()
		plan := &faultfs.Plan{At: at, Fault: faultfs.Kill, Die: func() {}}
		l := newLedger()
		scenario(small, func() (vfs.FS, error) { return faultfs.New(m, plan), nil }, l.try, l.ack)
		m.Kill()
		for range 2 {
			j, err := journal.Open("DIR", &journal.Options{FS: m, SegmentBytes: small})
			if err != nil {
				t.Fatalf("killed at call %d, %s: %v", at, last(plan.Calls()), err)
			}
			l.acked = map[uint64]string{}
			if err := j.Read(0, func(seq uint64, data []byte) error {
				l.ack(seq, string(data))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			l.ack(add(t, j, "of the second"), "of the second")
			m.Kill()
		}
		m.CutPower(nil)
		if err := l.check(m, 0); err != nil {
			t.Errorf("killed at call %d, %s: %v", at, last(plan.Calls()), err)
		}
	}
}

// mix returns the synced bytes with a part of what was written since: a length
// between, and with holes each page old or new.
func mix(r *rand.Rand, synced, written []byte, holes bool) []byte {
	low, high := min(len(synced), len(written)), max(len(synced), len(written))
	out := make([]byte, low+r.IntN(high-low+1))
	copy(out, written)
	for i := 0; i < len(out); i += 16 {
		if holes && r.IntN(2) == 0 {
			page := out[i:min(i+16, len(out))]
			clear(page)
			copy(page, synced[min(i, len(synced)):])
		}
	}
	return out
}

func last(calls []string) string {
	if len(calls) == 0 {
		return "before the first"
	}
	return calls[len(calls)-1]
}

// Each call fails once, and with it all calls of its kind from there on. The
// caller gets an error, and nothing that was acknowledged is lost, nor is there
// anything whose append has failed.
func TestEachCallFails(t *testing.T) {
	n := calls(t, small)
	for _, fault := range []faultfs.Fault{faultfs.Fail, faultfs.Full} {
		for at := 1; at <= n; at++ {
			for _, lasting := range []bool{false, true} {
				m := faultfs.NewMemory()
				plan := &faultfs.Plan{At: at, Fault: fault}
				if lasting {
					count := &faultfs.Plan{}
					scenario(small, func() (vfs.FS, error) { return faultfs.New(faultfs.NewMemory(), count), nil }, newLedger().try, newLedger().ack)
					if names := count.Calls(); at <= len(names) {
						plan.On, _, _ = strings.Cut(names[at-1], " ")
					}
				}
				l := newLedger()
				err := scenario(small, func() (vfs.FS, error) { return faultfs.New(m, plan), nil }, l.try, l.ack)
				extra := 0
				if errors.Is(err, poolkeeper.ErrIndeterminate) || lasting {
					extra = 3 // it says so
				}
				m.CutPower(func(_ string, _, written []byte) []byte { return written })
				if err := l.check(m, extra); err != nil {
					t.Errorf("call %d, %s, fails (%v, lasting %v): %v", at, plan.On, fault, lasting, err)
				}
			}
		}
	}
}

const (
	childDir = "JOURNAL_TEST_DIR"
	childAt  = "JOURNAL_TEST_AT"
)

// child runs the scenario in a process of its own, which dies at a call.
func child() {
	at, _ := strconv.Atoi(os.Getenv(childAt))
	plan := &faultfs.Plan{At: at, Fault: faultfs.Fault(at%2*int(faultfs.Kill-faultfs.Tear) + int(faultfs.Tear))}
	out := os.Stdout
	err := scenario(small, func() (vfs.FS, error) {
		fsys, err := vfs.Open(os.Getenv(childDir))
		return faultfs.New(fsys, plan), err
	}, func(_ uint64, r string) { fmt.Fprintf(out, "try 0 %s\n", r) }, func(seq uint64, r string) { fmt.Fprintf(out, "ack %d %s\n", seq, r) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A process is killed at each call, and the journal opened by another one.
func TestKilledAtEachCall(t *testing.T) {
	n := calls(t, small)
	for at := 1; at <= n+1; at++ {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run", "^$")
		cmd.Env = append(os.Environ(), childDir+"="+dir, childAt+"="+strconv.Itoa(at))
		out, err := cmd.Output()
		if killed := err != nil && strings.Contains(err.Error(), "killed"); killed != (at <= n) {
			t.Fatalf("call %d of %d: the process ended with %v", at, n, err)
		}
		l := newLedger()
		lines := bufio.NewScanner(strings.NewReader(string(out)))
		for lines.Scan() {
			word, rest, _ := strings.Cut(lines.Text(), " ")
			number, record, _ := strings.Cut(rest, " ")
			if seq, _ := strconv.ParseUint(number, 10, 64); word == "ack" {
				l.ack(seq, record)
			} else {
				l.try(0, record)
			}
		}
		fsys, err := vfs.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.check(fsys, 3); err != nil {
			t.Errorf("killed at call %d: %v", at, err)
		}
		fsys.Close()
	}
}

// The power is cut at each call of a trim, and of the names that were removed
// any part is gone: no gap is left.
func TestPowerCutWhileTrimming(t *testing.T) {
	for at := 1; at <= 12; at++ {
		for kept := range 1 << 6 {
			m, plan := faultfs.NewMemory(), &faultfs.Plan{Fault: faultfs.Kill, Die: func() {}}
			j, err := journal.Open("DIR", &journal.Options{FS: faultfs.New(m, plan), SegmentBytes: 10})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 8 {
				add(t, j, strconv.Itoa(i+1))
			}
			plan.At = plan.Count() + at
			j.Trim(6)
			j.Close()
			m.KeepName = func(name string) bool {
				var n int
				fmt.Sscanf(name, "%x", &n)
				return kept>>(n-1)&1 == 1
			}
			m.CutPower(nil)
			j, err = journal.Open("DIR", &journal.Options{FS: m, SegmentBytes: 10})
			if err != nil {
				t.Fatalf("call %d, names %06b: %v", at, kept, err)
			}
			if first := add(t, j, "next"); first != 9 {
				t.Errorf("call %d, names %06b: the next record is %d", at, kept, first)
			}
			if got := read(t, j, 7); !slices.Equal(got, []string{"7 7", "8 8", "9 next"}) {
				t.Errorf("call %d, names %06b: got %q", at, kept, got)
			}
			j.Close()
		}
	}
}
