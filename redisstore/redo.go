package redisstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// begun begins a batch of the repair, as the writer of the work that mends.
func (w *work) begun(r *repair, calls []*call, ops []keptOp, origin string) *work {
	b := &batch{kind: calls[0].kind, calls: slices.Clone(calls), formed: time.Now().Add(1000 * 24 * time.Hour), bare: true, again: true, origin: origin}
	sub := &work{lane: w.lane, sender: w.sender, batch: b, open: make([]int, len(calls)), repairing: r}
	for i := range sub.open {
		sub.open[i] = i
	}
	r.sub, r.calls, r.ops = sub, calls, ops
	return sub
}

// redoRuntime begins a batch of the next ops on runtime state.
func (w *work) redoRuntime(r *repair) {
	var n int
	var of []*owed
	if r.single { // its ops do not stand together
		if o := r.todo[0].owed(); o != nil {
			w.mu.Lock()
			o.gone = true
			w.tail.owed = slices.DeleteFunc(w.tail.owed, func(o *owed) bool { return o.gone })
			w.mu.Unlock()
		}
		n = 1
	} else if n, of = front(r.todo, func(string, map[string]bool) bool { return true }); n == 0 {
		n = newOnes(r.todo)
	}
	var calls []*call
	for i := range r.todo[:n] {
		c := runtimeCall(r.todo[i].op, 0)
		c.done = nil // nobody waits
		calls = append(calls, c)
	}
	w.mu.Lock()
	origin := w.tail.originOf(n, of)
	w.mu.Unlock()
	w.begun(r, calls, r.todo[:n], origin)
	r.todo = r.todo[n:]
}

// front is how many of the ops, from the first one on, have an origin and can be
// applied by one script, and the batches that they are of: whole ones, all of one
// kind and writer. One of several sequences stands alone, as a server may have a part
// of it. counts says of a provider that is incremented, among those before it, whether
// it is one op more. 0 where the first one has no origin.
func front(ops []keptOp, counts func(id string, seen map[string]bool) bool) (n int, of []*owed) {
	var kind batchKind
	number, size, seen := 0, 0, map[string]bool{}
	for n < len(ops) && ops[n].owed() != nil {
		o := ops[n].of
		if n > 0 && (o.writer != of[0].writer || o.from < o.seq || of[0].from < of[0].seq) {
			break
		}
		k, _ := kindOf(ops[n].op)
		more, bytes, m := 0, 0, n
		for ; m < len(ops) && ops[m].of == o; m++ {
			if op := ops[m].op; k != usageBatch || counts(op.ID, seen) {
				_, s := kindOf(op)
				more, bytes = more+1, bytes+s
			}
		}
		if n > 0 && (k != kind || number+more > maxBatchOps || size+bytes > maxBatchBytes) {
			break
		}
		for _, op := range ops[n:m] {
			seen[op.op.ID] = true
		}
		kind, number, size, n, of = k, number+more, size+bytes, m, append(of, o)
	}
	return n, of
}

// newOnes is how many of the ops, from the first one on, have no origin and can be
// applied by one script.
func newOnes(ops []keptOp) int {
	n, first := 0, batchKind(0)
	for n < len(ops) && n < maxBatchOps && ops[n].op != nil && ops[n].op.IsRuntime() && ops[n].owed() == nil {
		k, _ := kindOf(ops[n].op)
		if n == 0 {
			first = k
		}
		if k != first {
			break
		}
		n++
	}
	return n
}

// redoRow begins a batch of a request that is no op.
func (w *work) redoRow(r *repair, op keptOp) {
	w.begun(r, []*call{{kind: soloBatch, row: op.row}}, r.todo[:1], "")
	r.todo = r.todo[1:]
}

// concluded takes note of what became of a batch of the repair.
func (w *work) concluded(r *repair) *failure {
	calls, ops := r.calls, r.ops
	r.sub.ended()
	r.sub, r.calls, r.ops = nil, nil, nil
	if r.behind {
		// What was applied is in the tail, and is found there, and what is owed with it.
		var left []keptOp
		for i, c := range calls {
			if c.result.Err == errAgain && ops[i].owed() == nil {
				left = append(left, ops[i])
			}
		}
		w.restart(r, left)
		return nil
	}
	var left []keptOp
	var f *failure
	poisoned := false
	for i, c := range calls {
		err := c.result.Err
		op := ops[i].op
		switch {
		case err == nil || op == nil:
		case ofOp(err):
			w.s.report(op.Key, err, 1, counts(op), true)
		case errors.Is(err, poolkeeper.ErrInternal), errors.Is(err, poolkeeper.ErrDamaged):
			if len(calls) == 1 {
				w.s.report(op.Key, err, 1, counts(op), true)
				continue
			}
			poisoned = true
			left = append(left, ops[i])
		default:
			f = &failure{err: err, again: isOutage(err)}
			left = append(left, ops[i])
		}
	}
	r.single = poisoned || r.single && len(r.todo) > 0
	r.todo = append(slices.Clone(left), r.todo...)
	return f
}

// restart begins the repair anew, as Redis has lost something again: what of it
// was applied, and is missing again, comes before what was not.
func (w *work) restart(r *repair, left []keptOp) {
	r.behind, r.turned, r.writers = false, false, [2]string{}
	r.todo = append(slices.Clone(left), slices.DeleteFunc(r.todo, func(op keptOp) bool { return op.owed() != nil })...)
}

// redo applies an edit again, as any caller would.
func (w *work) redo(r *repair, op keptOp) *failure {
	if !r.turned {
		return w.turn(r)
	}
	res := w.s.applyOne(context.WithValue(context.Background(), mender{}, &mendedBy{w, r}), op.op, 0)
	err := res.Err
	if r.behind {
		w.restart(r, nil) // the op is still the first
		return w.turn(r)
	}
	gone := poolkeeper.ClassOf(err).Err == poolkeeper.ErrNotFound && (op.op.Kind == poolkeeper.OpDelete || op.op.Kind == poolkeeper.OpDeleteProvider)
	switch {
	case err == nil, gone:
	case ofOp(err), errors.Is(err, poolkeeper.ErrInternal), errors.Is(err, poolkeeper.ErrDamaged):
		w.s.report(op.op.Key, err, 1, 0, true)
	default:
		return &failure{err: poolkeeper.Errorf(poolkeeper.ErrUnavailable, "what Redis has lost cannot be applied again now: %v", err), again: true}
	}
	r.todo = r.todo[1:]
	return nil
}

// mender is the key of a context in which what goes to a lane is sent by the work
// that mends it, and not queued behind that.
type mender struct{}

type mendedBy struct {
	*work
	r *repair
}

// send sends a call, and waits for what becomes of it.
func (m *mendedBy) call(c *call) answer {
	done := c.done
	c.done = nil
	sub := m.begun(m.r, []*call{c}, nil, "")
	for !sub.step() {
		select {
		case <-time.After(sub.pause()):
		case <-m.s.stop:
			sub.abandon()
		}
		if sub.batch.calls[0] == nil {
			break
		}
	}
	sub.ended()
	m.r.sub, m.r.calls, m.r.ops = nil, nil, nil
	a := c.answer
	c.done = done
	c.release()
	return a
}

// ended ends a batch of the repair.
func (w *work) ended() {
	if w.foreseen {
		w.lose()
	}
	if w.stuck {
		w.resending.Add(-1)
	}
}
