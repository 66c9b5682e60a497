package redisstore

import (
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

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
	perKey := map[poolkeeper.Key][]keptOp{}
	var keys []poolkeeper.Key
	for _, op := range r.todo {
		if perKey[op.op.Key] == nil {
			keys = append(keys, op.op.Key)
		}
		perKey[op.op.Key] = append(perKey[op.op.Key], op)
	}
	for _, k := range keys {
		w.mu.Lock()
		ops := w.tail.folded(perKey[k])
		w.mu.Unlock()
		if err := keeper.Rescue(k, ops); err != nil {
			return &failure{err: poolkeeper.Errorf(poolkeeper.ErrUnavailable, "what Redis has lost cannot be made durable: %v", err), again: true}
		}
		r.rescued = true
		r.todo = slices.DeleteFunc(r.todo, func(op keptOp) bool { return op.op.Key == k })
	}
	return nil
}

// folded are ops as they are queued: increments of one provider are added up between
// which nothing else happened. Those with an origin stand together, as many as one
// script can apply. The lock is held.
func (t *tail) folded(ops []keptOp) []poolkeeper.QueuedOp {
	var out []poolkeeper.QueuedOp
	for len(ops) > 0 {
		n, of := front(ops, func(id string, seen map[string]bool) bool { return !seen[id] })
		if n == 0 { // all that have none
			for n = 1; n < len(ops) && ops[n].owed() == nil; n++ {
			}
		}
		part := fold(ops[:n])
		origin := t.originOf(len(part), of)
		for i := range part {
			out = append(out, poolkeeper.QueuedOp{Op: part[i], Origin: origin})
		}
		ops = ops[n:]
	}
	return out
}

// fold adds increments of one provider up between which nothing else happened.
func fold(ops []keptOp) []poolkeeper.Op {
	var out []poolkeeper.Op
	last := map[string]int{}
	for _, k := range ops {
		op := *k.op
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
