package redisstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

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

// turn begins the new writers, and finds out what is missing.
func (w *work) turn(r *repair) *failure {
	epoch, err := w.s.ready(context.Background())
	if err != nil {
		return &failure{err: err, again: isOutage(err)}
	}
	if f := w.confirmEpoch(epoch); f != nil {
		return f
	}
	if r.writers[0] == "" {
		r.writers = [2]string{newWriter(), newWriter()}
	}
	w.mu.Lock()
	w.tail.account(w.senders[0].writer)
	w.tail.account(w.senders[1].writer)
	accounts, seen := slices.Clone(w.tail.accounts), w.tail.seen
	w.mu.Unlock()
	publish, channel := w.s.channel(epoch, w.key)
	args := []string{epoch, r.writers[0], "1", "an", strconv.FormatInt(w.s.opts.Now().UnixMilli(), 10), publish, channel, r.writers[1], strconv.FormatUint(seen, 10), w.s.changeOf(w.key)}
	for _, a := range accounts {
		args = append(args, a.writer)
	}
	answer, err := turnScript.run(context.Background(), w.s.client, []string{w.s.ctl(w.key), w.key}, args)
	if f := classify(err); f != nil {
		f.sent = false // it may be sent again whatever came of it
		if !f.again && poolkeeper.ClassOf(f.err).Err == poolkeeper.ErrIndeterminate {
			f.err = unavailable(err)
		}
		return f
	}
	text, ok := strings.CutPrefix(answer, "OK ")
	if !ok {
		return &failure{err: w.lost(answer)}
	}
	_, results, _ := strings.Cut(text, ";")
	parts := strings.Split(results, ",")
	if len(parts) != len(accounts) {
		return &failure{err: poolkeeper.Errorf(poolkeeper.ErrInternal, "unexpected answer of a script")}
	}
	has := make([]uint64, len(accounts))
	for i := range has {
		if has[i], err = strconv.ParseUint(parts[i], 10, 64); err != nil {
			return &failure{err: poolkeeper.Errorf(poolkeeper.ErrInternal, "unexpected answer of a script")}
		}
	}
	w.turned(r, accounts, has)
	return nil
}

// turned takes note of what Redis has: the last sequence of each writer.
func (w *work) turned(r *repair, accounts []*account, has []uint64) {
	w.mu.Lock()
	now := w.s.redisNow()
	for i, a := range accounts {
		if now-a.used > laneIdle.Milliseconds() { // Redis may have forgotten it
			has[i] = max(has[i], a.last)
		}
	}
	lost := w.takeLost(has)
	var ops, n int64
	exact := true
	for i, a := range accounts {
		o, m, ex := a.above(has[i])
		ops, n, exact = ops+o, n+m, exact && ex
		a.cut(has[i])
	}
	var todo []keptOp
	for _, b := range lost {
		for _, k := range b.ops {
			if k.op != nil {
				n -= counts(k.op)
				if replaces(k.op) { // when it was, is said with it: see value.lua
					then := *k.op
					then.At = w.s.localTime(b.at)
					k.op = &then
				}
			}
			todo = append(todo, k)
		}
		ops -= b.counted
	}
	for i := range w.senders {
		s := &w.senders[i]
		s.writer, s.seq, s.last, s.resent = r.writers[i], 1, w.s.opts.Now(), false
		_, a := w.tail.account(s.writer)
		a.add(1, 0, 0, now)
	}
	w.view = view{number: w.view.number + 1}
	w.mu.Unlock()
	r.turned, r.todo = true, append(todo, r.todo...)
	if ops > 0 || n > 0 {
		w.s.report(w.s.keyOf(w.key), errBeyond, ops, n, exact)
	}
	w.s.opts.Logger.Warn("Redis has lost what it had acknowledged", "key", w.key, "batches kept here", len(lost), "ops lost for good", ops)
}

var errBeyond = poolkeeper.Errorf(poolkeeper.ErrLost, "it was acknowledged longer ago than this instance keeps")

// takeLost takes the batches out of the tail that Redis does not have. The lock is
// held.
func (l *lane) takeLost(has []uint64) (lost []keptBatch) {
	key := l.s.keyOf(l.key)
	for _, c := range l.tail.stretches {
		all := c.batches(key)
		gone := func(b keptBatch) bool { return b.writer < len(has) && b.seq > has[b.writer] }
		if !slices.ContainsFunc(all, gone) {
			continue
		}
		data, ops := []byte(nil), []keptOp(nil)
		for _, b := range all {
			if gone(b) {
				lost = append(lost, b)
				continue
			}
			data = append(data, b.raw...)
			if b.whole {
				ops = append(ops, b.ops...)
			}
		}
		c.data, c.ops = data, ops
	}
	return lost
}

// changeOf is what has readers of a key load it anew.
func (s *Store) changeOf(name string) string {
	switch s.keyOf(name).Kind {
	case poolkeeper.KindPool:
		return "pool"
	case poolkeeper.KindTypes:
		return "types"
	}
	return "value"
}

// keyOf is the key that a lane is of.
func (s *Store) keyOf(name string) poolkeeper.Key {
	if name == s.typeOrder() {
		return poolkeeper.TypesKey
	}
	key, _ := s.parse(name)
	return key
}

// spoolable reports whether all that is left to do is ops that a Spool can take
// in front of what is queued. A change of a whole pool is not, nor of the order of
// the types: where one is among them they are applied from memory.
func (w *work) spoolable(r *repair) (poolkeeper.Rescuer, bool) {
	keeper, ok := w.s.opts.Spool.(poolkeeper.Rescuer)
	return keeper, ok && !slices.ContainsFunc(r.todo, func(op keptOp) bool { return op.op == nil || !replayed(op.op) })
}

// replayed reports whether Replay can apply an op.
func replayed(op *poolkeeper.Op) bool {
	switch op.Kind {
	case poolkeeper.OpReplacePool, poolkeeper.OpReorderPool, poolkeeper.OpDeletePool, poolkeeper.OpReorderTypes:
		return false
	}
	return true
}

// rescue makes what was lost durable, in front of all that is queued of its key:
// it is applied as that is.
func (w *work) rescue(keeper poolkeeper.Rescuer, r *repair) *failure {
	perKey := map[poolkeeper.Key][]poolkeeper.Op{}
	var keys []poolkeeper.Key
	for _, op := range r.todo {
		if perKey[op.op.Key] == nil {
			keys = append(keys, op.op.Key)
		}
		perKey[op.op.Key] = append(perKey[op.op.Key], *op.op)
	}
	r.todo = nil
	for i, k := range keys {
		if err := keeper.Rescue(k, fold(perKey[k])); err != nil {
			for _, k := range keys[i:] {
				for j := range perKey[k] {
					r.todo = append(r.todo, keptOp{op: &perKey[k][j]})
				}
			}
			return &failure{err: poolkeeper.Errorf(poolkeeper.ErrUnavailable, "what Redis has lost cannot be made durable: %v", err), again: true}
		}
		r.rescued = true
	}
	return nil
}

// fold adds increments of one provider up between which nothing else happened.
func fold(ops []poolkeeper.Op) []poolkeeper.Op {
	var out []poolkeeper.Op
	last := map[string]int{}
	for _, op := range ops {
		if op.Kind != poolkeeper.OpUsage || op.IdempotencyKey != "" {
			clear(last)
			out = append(out, op)
			continue
		}
		if i, ok := last[op.ID]; ok && out[i].N <= poolkeeper.MaxUsage-op.N {
			out[i].N += op.N
			out[i].At = max(out[i].At, op.At)
			continue
		}
		last[op.ID] = len(out)
		out = append(out, op)
	}
	return out
}

// begun begins a batch of the repair, as the writer of the work that mends.
func (w *work) begun(r *repair, kind batchKind, calls []*call, ops []keptOp) *work {
	b := &batch{kind: kind, calls: slices.Clone(calls), formed: time.Now().Add(1000 * 24 * time.Hour), bare: true, again: true}
	sub := &work{lane: w.lane, sender: w.sender, batch: b, open: make([]int, len(calls)), repairing: r}
	for i := range sub.open {
		sub.open[i] = i
	}
	r.sub, r.calls, r.ops = sub, calls, ops
	return sub
}

// redoRuntime begins a batch of the next ops on runtime state.
func (w *work) redoRuntime(r *repair) {
	var calls []*call
	n := 0
	for n < len(r.todo) && r.todo[n].op != nil && r.todo[n].op.IsRuntime() && len(calls) < maxBatchOps && !(r.single && n > 0) {
		c := runtimeCall(r.todo[n].op, 0)
		if len(calls) > 0 && c.kind != calls[0].kind {
			break
		}
		c.done = nil // nobody waits
		calls = append(calls, c)
		n++
	}
	w.begun(r, calls[0].kind, calls, r.todo[:n])
	r.todo = r.todo[n:]
}

// redoRow begins a batch of a request that is no op.
func (w *work) redoRow(r *repair, op keptOp) {
	w.begun(r, soloBatch, []*call{{kind: soloBatch, row: op.row}}, r.todo[:1])
	r.todo = r.todo[1:]
}

// concluded takes note of what became of a batch of the repair.
func (w *work) concluded(r *repair) *failure {
	calls, ops := r.calls, r.ops
	r.sub.ended()
	r.sub, r.calls, r.ops = nil, nil, nil
	if r.behind {
		// What was applied is in the tail, and is found there.
		var left []keptOp
		for i, c := range calls {
			if c.result.Err == errAgain {
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
	r.todo = append(slices.Clone(left), r.todo...)
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
	sub := m.begun(m.r, c.kind, []*call{c}, nil)
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
