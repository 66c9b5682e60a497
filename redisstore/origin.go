package redisstore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// Ops on runtime state that Redis has lost keep their origin when they are applied
// again: the batches in which they were acknowledged first. Redis notes it under the
// writers of those, which were ended by then, in the script that applies the ops
// (prelude.lua). So any server says whether it has them, as they were first or as they
// were applied again: a replica that did not follow where they were lost, and becomes
// the primary later, has the former. A script whose ops are there already answers
// HERE. One of whose ops only some are answers PART, which only another process than
// the one that had them acknowledged can come to: that one knows them by batches. To the
// other one, all that have one origin are one batch, of several sequences of a writer
// that it never was. So it finds them by those as well, whatever server comes next.
//
// An origin as text is how many ops have it, and a name by which it differs from any
// other; then the writer, and the range of its sequences. All of the ops go out together, and are applied by one script; where that
// cannot be, or only some of them are applied, they are disowned: they go on as ops
// that are new.

// An owed batch is one that Redis has lost, and has not been given again.
type owed struct {
	keptBatch
	sentAs string // the origin that its ops were sent on with
	gone   bool   // it was given again, or disowned
}

// owed is the batch that an op is of, where that has an origin to keep.
func (k *keptOp) owed() *owed {
	if k.of == nil || k.of.gone {
		return nil
	}
	return k.of
}

// originOf is the origin of so many ops, which are those of these batches of one
// writer. The lock is held.
func (t *tail) originOf(ops int, of []*owed) string {
	if len(of) == 0 {
		return ""
	}
	from, to := of[0].from, of[0].seq
	for _, o := range of {
		from, to = min(from, o.from), max(to, o.seq)
	}
	text := formatOrigin(ops, t.accounts[of[0].writer].writer, from, to)
	for _, o := range of {
		o.sentAs = text
	}
	return text
}

func formatOrigin(ops int, writer string, from, to uint64) string {
	return fmt.Sprintf("%d/%s %s %d %d", ops, newWriter(), writer, from, to)
}

// doubt gives a batch that may have been executed by a server which was there before
// this one an origin, under which it is found where that comes back.
func (w *work) doubt() {
	switch w.batch.kind {
	case usageBatch, decideBatch, keyedBatch:
		if w.sent && w.batch.origin == "" {
			w.batch.origin = formatOrigin(len(w.open), w.writer, w.seq+1, w.seq+1)
		}
	}
}

// splitOrigin gives how many ops it is of, and what the script is told.
func splitOrigin(origin string) (ops int, ranges string) {
	n, ranges, _ := strings.Cut(origin, " ")
	n, _, _ = strings.Cut(n, "/")
	ops, _ = strconv.Atoi(n)
	return ops, ranges
}

// wholeOrigins clears the origins that do not stand with all of their ops, which go on
// as new ones.
func (l *lane) wholeOrigins(ops []poolkeeper.QueuedOp) {
	for i := 0; i < len(ops); {
		n, origin := i+1, ops[i].Origin
		for n < len(ops) && ops[n].Origin == origin {
			n++
		}
		if of, _ := splitOrigin(origin); origin != "" && of != n-i {
			l.mu.Lock()
			l.disown(origin)
			l.mu.Unlock()
			for j := range ops[i:n] {
				ops[i+j].Origin = ""
			}
		}
		i = n
	}
}

// disown forgets the batches of an origin: their ops go on as new ones. The lock is
// held.
func (l *lane) disown(origin string) {
	l.tail.owed = slices.DeleteFunc(l.tail.owed, func(o *owed) bool {
		if o.sentAs == origin {
			o.gone = true
		}
		return o.gone
	})
}

// regain puts the batches of an origin into the tail again, as Redis has them. Where it
// was another process that had them acknowledged they are one, of those of its calls
// that were applied. The lock is held.
func (w *work) regain(origin string, number uint64, was []int) {
	if !w.s.keepsTail() {
		return
	}
	w.tail.seen = max(w.tail.seen, number)
	now, before := w.s.redisNow(), len(w.tail.owed)
	for _, o := range w.tail.owed {
		if o.sentAs == origin {
			o.number = number
			w.restore(&o.keptBatch, now)
		}
	}
	if w.disown(origin); len(w.tail.owed) < before {
		return
	}
	b := keptBatch{number: number, whole: w.batch.kind != usageBatch}
	for _, i := range was {
		if c := w.batch.calls[i]; c.result.Err == nil {
			b.ops = append(b.ops, keptOp{op: c.op})
		}
	}
	b.counted = int64(len(b.ops))
	var writer string
	_, ranges := splitOrigin(origin)
	fmt.Sscan(ranges, &writer, &b.from, &b.seq)
	var a *account
	// What was queued twice, as it was lost twice, is in the tail by now.
	if b.writer, a = w.tail.account(writer); b.seq > a.last && b.counted > 0 {
		w.restore(&b, now)
	}
}

// restore puts a batch into the tail that Redis has after all.
func (l *lane) restore(b *keptBatch, now int64) {
	l.tail.accounts[b.writer].add(b.seq, b.counted, b.sum(), now)
	c := l.stretchFor(now)
	before, size := len(c.data), int64(0)
	rows := len(b.ops)
	if b.whole {
		rows = 0
	}
	c.data = header(c.data, b, now, rows)
	if b.whole {
		c.data = appendNumber(c.data, len(b.ops))
		c.ops = append(c.ops, b.ops...)
	}
	for _, k := range b.ops {
		if b.whole {
			size += sizeOf(k.op)
			continue
		}
		if l.providers == nil {
			l.forget()
		}
		c.data = appendRow(c.data, l.number(l.know(k.op.ID)), k.op.N, k.op.At-now)
	}
	l.grown(c, size+int64(len(c.data)-before))
}

// credit takes note of an answer to the batch, whose open calls were these: used says
// that it has used its sequence. The lock is held.
func (w *work) credit(rev poolkeeper.Revision, was []int, used bool, results string) {
	origin := w.batch.origin
	if !used && len(w.open) == len(was) {
		return // as before
	}
	w.batch.origin = "" // what goes on does so as new ops
	if origin != "" {
		if used && !sentOn(results) {
			w.regain(origin, rev.Number, was)
			_, a := w.tail.account(w.writer)
			a.add(w.seq, 0, 0, w.s.redisNow())
			return
		}
		w.disown(origin)
	}
	if used {
		w.keep(rev, was)
	}
}

// sentOn reports whether results say of an op that it was not applied yet: then the
// script has not noted the origin. It looks for the same.
func sentOn(results string) bool {
	return strings.HasPrefix(results, "?") || strings.HasPrefix(results, ">") || strings.Contains(results, ",?") || strings.Contains(results, ",>")
}

// withOrigin are the arguments of the request, with its origin before them.
func (r *request) withOrigin() []string {
	if r.origin == "" {
		return r.args
	}
	_, ranges := splitOrigin(r.origin)
	return append([]string{ranges}, r.args...)
}

// withOrigin has the request note the origin, where all ops of that are in it.
func (w *work) withOrigin() {
	if w.batch.kind == usageBatch && slices.Contains(w.rowOf, -1) {
		w.mu.Lock()
		w.disown(w.batch.origin)
		w.mu.Unlock()
		w.batch.origin = ""
	}
	w.request.origin = w.batch.origin
}

// present takes note that Redis has all ops of the batch already, or some of them.
func (w *work) present(answer string) error {
	text, all := strings.CutPrefix(answer, "HERE ")
	var rev poolkeeper.Revision
	if all {
		var err error
		if rev, err = parseRevision(text); err != nil {
			return err
		}
	}
	w.lose() // what was foreseen did not come
	w.mu.Lock()
	defer w.mu.Unlock()
	if all {
		w.regain(w.batch.origin, rev.Number, w.open)
	} else {
		w.disown(w.batch.origin)
	}
	w.batch.origin = ""
	for _, i := range w.open {
		c := w.batch.calls[i]
		if all {
			c.answerResult(poolkeeper.Result{Status: poolkeeper.Applied, Revision: rev, ID: c.id, Changed: true})
		} else {
			c.answerResult(poolkeeper.Result{Err: errPart})
		}
	}
	w.open = w.open[:0]
	return nil
}

var errPart = poolkeeper.Errorf(poolkeeper.ErrConflict, "Redis had lost it, and has some of what was acknowledged with it again: whether this is there cannot be told").
	WithHint("compare the counters with what they should be; retry applies it once more, discard leaves it as it is")
