package redisstore

import "github.com/poolkeeper/poolkeeper"

// Where Redis says LOST to a lane, or a check finds that it is behind, the lane is
// mended before anything else of it goes out: its writers are ended (turn.lua), so
// that from then on nothing of them is executed that was not; what the tail has
// above the sequences that Redis still has is applied again, in its order, by
// writers that are new; and what no tail has is reported. The new writers have had
// their first batch with the turn: a loss after it is found like any other, and
// what was mended by then is in the tail again.

// A repair is what is to be mended of a lane.
type repair struct {
	writers [2]string // that the lane goes on as
	turned  bool
	todo    []keptOp // what is to be applied again, in its order
	rescued bool     // the Spool has it: it is applied as what is queued
	single  bool     // one at a time, as something among them makes a script fail

	sub    *work // a batch of it on its way
	calls  []*call
	ops    []keptOp // those of its calls
	behind bool     // Redis has lost something again
}

// errBehind is for ops that were surely not applied, as what comes before them is
// missing.
var errBehind = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "Redis has lost what comes before it, which is being applied again")

// errAgain ends a batch of a repair where Redis has lost something again.
var errAgain = poolkeeper.Errorf(poolkeeper.ErrLost, "Redis has lost something again")

// own reports whether the work goes out as one of the lane's writers, not as that
// of an earlier process.
func (w *work) own() bool { return w.sender == &w.senders[0] || w.sender == &w.senders[1] }

// isBehind takes note that Redis lacks what comes before the batch: it was surely
// not executed in what Redis has now.
func (w *work) isBehind(epoch string) bool {
	if w.repairing != nil {
		w.repairing.behind = true
		return w.fail(errAgain)
	}
	if f := w.confirmEpoch(epoch); f != nil {
		if f.again {
			return w.refused(f)
		}
		return w.gone(f.err)
	}
	w.repair.CompareAndSwap(nil, &repair{})
	w.lose()
	w.doubt()
	w.sent, w.fresh, w.request = false, false, nil
	if w.s.opts.Spool != nil {
		w.s.checkSoon(w.lane)
		return w.fail(errBehind)
	}
	return false
}

// mended mends the lane where that is needed, before the batch goes out. goesOn is
// false where step is to return what done says.
func (w *work) mended() (goesOn, done bool) {
	if !w.waits { // a caller who sends by himself leaves this to a goroutine of the lane
		w.waits = true
		w.waiting.Add(1)
		return false, false
	}
	if !w.mending.TryLock() {
		return false, false
	}
	defer w.mending.Unlock()
	rescued := false
	if r := w.repair.Load(); r != nil {
		if w.flying.Load() != w.waiting.Load() { // somebody has no answer yet
			return false, false
		}
		again, f := w.mend(r)
		if f != nil {
			w.tries++
			return false, w.refused(f)
		}
		if again {
			return false, false
		}
		rescued = r.rescued
		w.repair.Store(nil)
	}
	w.waits = false
	w.waiting.Add(-1)
	if w.s.opts.Spool != nil && rescued && w.batch.kind != checkBatch {
		return false, w.fail(errBehind) // it is queued behind what was lost
	}
	return true, false
}

// mend does what is left to do; again where it has to be called again.
func (w *work) mend(r *repair) (again bool, f *failure) {
	for len(r.todo) > 0 || r.sub != nil || !r.turned {
		if !r.turned {
			if f := w.turn(r); f != nil {
				return false, f
			}
			continue
		}
		if r.sub == nil {
			if keeper, ok := w.spoolable(r); ok {
				return false, w.rescue(keeper, r)
			}
			op := r.todo[0]
			switch {
			case op.op != nil && !op.op.IsRuntime():
				if f := w.redo(r, op); f != nil {
					return false, f
				}
				continue
			case op.op == nil:
				w.redoRow(r, op)
			default:
				w.redoRuntime(r)
			}
		}
		if !r.sub.step() {
			return true, nil
		}
		if f := w.concluded(r); f != nil {
			return false, f
		}
	}
	w.s.opts.Logger.Info("what Redis had lost was applied again", "key", w.key)
	return false, nil
}
