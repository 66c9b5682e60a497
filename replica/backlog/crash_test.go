package backlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/vfs/faultfs"
)

// A model is what a caller of a Backlog knows of it: ops by a label, each of
// them a document of its own, and the sums of increments.
type model struct {
	wait, may map[string]bool // that were acknowledged; whose outcome is open
	low, high map[string]int64
	aside     map[string]bool
	rnd       *rand.Rand
	documents int
	frozen    []*poolkeeper.Frozen
	claims    []poolkeeper.Claim // the last one that the store surely had, and those begun since; none may be unknown
}

func newModel(seed uint64) *model {
	return &model{wait: map[string]bool{}, may: map[string]bool{}, low: map[string]int64{}, high: map[string]int64{}, aside: map[string]bool{},
		rnd: rand.New(rand.NewPCG(seed, 1))}
}

func label(op *poolkeeper.Op) string { return op.Key.Name }

// step does something at random, and takes note of what is known then. It
// returns whether it failed.
func (m *model) step(b *Backlog) (failed bool) {
	ctx := context.Background()
	settle := func(ops []poolkeeper.QueuedOp, err error, results []poolkeeper.Result) bool {
		for i, op := range ops {
			if results[i].Status == "" && results[i].Err == nil {
				continue
			}
			if op.Op.Kind == poolkeeper.OpUsage {
				if m.low[op.Op.ID] -= op.Op.N; err == nil {
					m.high[op.Op.ID] -= op.Op.N
				}
				continue
			}
			delete(m.wait, label(&op.Op))
			m.may[label(&op.Op)] = err != nil
			if err == nil && results[i].Err != nil {
				m.aside[label(&op.Op)] = true
			}
		}
		return err != nil
	}
	outcomes := func(ops []poolkeeper.QueuedOp) []poolkeeper.Result {
		results := make([]poolkeeper.Result, len(ops))
		for i := range results {
			switch k := m.rnd.IntN(4); {
			case k == 0:
			case k == 1 && ops[i].Op.Kind != poolkeeper.OpUsage:
				results[i].Err = poolkeeper.ErrConflict
			default:
				results[i] = ok
			}
		}
		return results
	}
	switch m.rnd.IntN(8) {
	case 0, 1:
		m.documents++
		op := document(fmt.Sprintf("d%d.json", m.documents), `{"a":1}`)
		if _, err := b.Append(ctx, op); err != nil {
			m.may[label(&op)] = true
			return true
		}
		m.wait[label(&op)] = true
	case 2, 3:
		op := use("x", fmt.Sprintf("p%d", m.rnd.IntN(3)), 1+m.rnd.Int64N(3))
		_, err := b.Append(ctx, op)
		m.high[op.ID] += op.N
		if err != nil {
			return true
		}
		m.low[op.ID] += op.N
	case 4:
		keys := b.Keys()
		if len(keys) == 0 {
			return false
		}
		ops := b.Take(keys[m.rnd.IntN(len(keys))], 1+m.rnd.IntN(3))
		if len(ops) == 0 {
			return false
		}
		defer b.GiveBack(ops)
		if m.rnd.IntN(3) == 0 {
			results := outcomes(ops)
			numbers := make([]uint64, len(ops))
			for i := range ops {
				numbers[i] = ops[i].Entry
			}
			return settle(ops, b.Resolve(numbers, results), results)
		}
		f := frozenOf(ops...)
		f.ProgramName = fmt.Sprint("p", m.rnd.IntN(3))
		f.Program = []byte("source of " + f.ProgramName)
		if b.Freeze(f) != nil {
			return true
		}
		m.frozen = append(m.frozen, f)
	case 5:
		if len(m.frozen) == 0 {
			return false
		}
		i := m.rnd.IntN(len(m.frozen))
		f := m.frozen[i]
		results := outcomes(f.Ops)
		m.frozen = append(m.frozen[:i], m.frozen[i+1:]...)
		return settle(f.Ops, b.Settle(f, results), results)
	case 6:
		return b.compact() != nil
	case 7:
		c, err := b.Claim()
		if err != nil {
			return true
		}
		if m.claims = append(m.claims, c); m.rnd.IntN(2) == 0 || len(m.claims) > maxMarks {
			b.Claimed(c)
			m.claims = []poolkeeper.Claim{c}
		}
	}
	return false
}

// check compares what a backlog has with what is known.
func (m *model) check(t *testing.T, b *Backlog) {
	t.Helper()
	there := map[string]bool{}
	sums := map[string]int64{}
	for _, e := range b.entries {
		if e.Op.Kind == poolkeeper.OpUsage {
			sums[e.Op.ID] += e.Op.N
		} else if there[label(&e.Op)] {
			t.Errorf("%s is there twice", label(&e.Op))
		} else {
			there[label(&e.Op)] = true
		}
	}
	for l := range m.wait {
		if !there[l] {
			t.Errorf("%s was acknowledged, and is gone", l)
		}
	}
	for l := range there {
		if !m.wait[l] && !m.may[l] {
			t.Errorf("%s is there, and was not to be", l)
		}
	}
	for id := range m.high {
		if sums[id] < m.low[id] || sums[id] > m.high[id] {
			t.Errorf("of %s %d are there, want %d to %d", id, sums[id], m.low[id], m.high[id])
		}
	}
	aside := map[string]bool{}
	for _, a := range b.Aside() {
		aside[label(&a.Op)] = true
	}
	for l := range m.aside {
		if !aside[l] {
			t.Errorf("%s was set aside, and is not", l)
		}
	}
	frozen := map[uint64]bool{}
	for _, f := range b.Frozen() {
		frozen[f.Number] = true
		if string(f.Program) != "source of "+f.ProgramName {
			t.Errorf("request %d has the program %q", f.Number, f.Program)
		}
	}
	if len(b.entries)+len(b.aside) == 0 {
		m.claims = nil // a journal in which there is nothing begins anew
	}
	for _, c := range m.claims {
		if b.claim.Journal != c.Journal || !slices.Contains(b.claim.Marks, c.Mark) {
			t.Errorf("claim %+v is not known any more: there is %+v", c, b.claim)
		}
	}
	for _, f := range m.frozen {
		if !frozen[f.Number] {
			t.Errorf("request %d was frozen, and is gone", f.Number)
		}
	}
}

// A process goes through random steps until a call of the file system fails, tears
// or is the last one, and the power is cut; then it is opened again.
func TestCrash(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	runs := 600
	if testing.Short() {
		runs = 100
	}
	for run := range runs {
		fault := []faultfs.Fault{faultfs.Fail, faultfs.Full, faultfs.Tear, faultfs.Kill}[run%4]
		disk := faultfs.NewMemory()
		m := newModel(rnd.Uint64())
		for life := range 3 {
			plan := &faultfs.Plan{Fault: fault, At: 1 + rnd.IntN(120), Die: func() {}}
			if life == 2 {
				plan.At = 0
			}
			opts := &Options{FS: faultfs.New(disk, plan), SegmentBytes: 600, Slack: 1 << 10}
			b, err := Open("DIR", opts)
			if err != nil && plan.At == 0 {
				t.Fatalf("run %d (%v), life %d: %v", run, fault, life, err)
			}
			if err == nil {
				m.check(t, b)
				for range 60 {
					if m.step(b) && (fault == faultfs.Tear || fault == faultfs.Kill) {
						break // the process is dead
					}
				}
				b.Close()
			}
			disk.CutPower(func(_ string, synced, written []byte) []byte {
				if rnd.IntN(2) == 0 || len(written) < len(synced) {
					return synced
				}
				n := len(synced) + rnd.IntN(len(written)-len(synced)+1)
				return append(append([]byte(nil), written[:n]...), synced[min(n, len(synced)):]...)
			})
			if t.Failed() {
				t.Fatalf("run %d (fault %v), life %d, call %d", run, fault, life, plan.At)
			}
		}
	}
}
