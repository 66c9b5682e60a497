package redisstore

import (
	"context"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// With a Spool a batch is durable before its callers are told that it is: one of
// callers that has no answer is frozen as it was sent, one of a Replay before it
// is sent at all. From then on it is sent again until its outcome is known, by
// this process or, where that ends, by the next one: it has the same writer and
// sequence there, so that Redis executes it once. What it came to is settled
// with the Spool before that writer uses another sequence.

// maxFrozen is how old a frozen request may become. Redis remembers sequences
// for 30 days.
const maxFrozen = 15 * 24 * time.Hour

// maxDenied is how often a frozen request that may have been executed is sent
// again to a server that answers it with an error of its own.
const maxDenied = 8

// frozen is a request that the Spool has.
type frozen struct {
	*poolkeeper.Frozen
	epoch   string
	calls   []int               // of the batch, one for each of its ops
	results []poolkeeper.Result // what became of them, until the Spool has it
	denied  int
}

// patience is how long an op that was not sent is tried.
func (s *Store) patience() time.Duration {
	if s.opts.Spool != nil {
		return s.opts.CommandTimeout
	}
	return s.opts.RetryFor
}

// bounded is the context of a read on the way to a write: with a Spool the op can
// be queued instead of waiting for a connection.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.opts.Spool == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.opts.CommandTimeout)
}

// barred is why a call does not go out now; nil where it does.
func (l *lane) barred(c *call) error {
	if c.entry != 0 {
		if f := l.broken.Load(); f != nil {
			return f.err
		}
		return nil
	}
	if l.held.Load() && c.op != nil {
		return errQueuedBefore
	}
	return nil
}

var errQueuedBefore = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "earlier ops on the same key are queued")

// bound is how long a batch is tried before its callers are let go.
func (w *work) bound() time.Duration {
	if w.batch.bare && w.batch.calls[0].op != nil {
		return w.s.opts.RetryFor
	}
	return w.s.patience()
}

// send sends the request once. With a Spool an attempt for callers who wait ends
// in time for them to be told that their ops are queued.
func (w *work) send(keys, args []string) (string, error) {
	if w.s.opts.Spool == nil || w.frozen != nil {
		return w.s.execute(context.Background(), w.request.script, keys, args)
	}
	now := time.Now()
	if w.sentAt.IsZero() {
		w.sentAt = now
	}
	end := w.sentAt.Add(w.s.opts.CommandTimeout)
	switch {
	case w.s.opts.Durability == Replicated: // it bounds itself
		end = now.Add(time.Hour)
	case !now.Before(end):
		end = now.Add(w.s.opts.CommandTimeout)
	}
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	return w.s.execute(ctx, w.request.script, keys, args)
}

// freezeFirst freezes the request of a batch whose ops are queued, before it is
// sent.
func (w *work) freezeFirst(epoch string) *failure {
	if !w.batch.queued || w.frozen != nil {
		return nil
	}
	if err := w.freeze(epoch); err != nil {
		return &failure{err: err}
	}
	return nil
}

// freezeSent freezes a request without an answer as it was sent, once its callers
// have waited long enough, and tells them that their ops are queued. False where
// that fails: then they hear that the outcome is unknown.
func (w *work) freezeSent() bool {
	if time.Since(w.sentAt) < w.s.opts.CommandTimeout {
		return true
	}
	if w.freeze(*w.s.epoch.Load()) != nil {
		return false
	}
	w.held.Store(true) // what comes later is behind it
	orphan := w.batch.orphan()
	for i, op := range w.frozen.Ops {
		orphan.calls[w.frozen.calls[i]].entry = op.Entry
	}
	orphan.queued = true
	for _, i := range w.open {
		c := w.batch.calls[i]
		c.answerResult(poolkeeper.Result{Status: poolkeeper.Queued, ID: c.op.ID, Changed: true})
	}
	w.batch.finish()
	w.batch, w.orphaned = orphan, true
	return true
}

// freeze makes the request durable.
func (w *work) freeze(epoch string) error {
	f := &frozen{
		Frozen: &poolkeeper.Frozen{Key: w.batch.calls[w.open[0]].op.Key, At: w.s.opts.Now().UnixMilli(),
			ProgramName: w.request.script.sha, Program: []byte(w.request.script.source)},
		epoch: epoch,
		calls: append([]int(nil), w.open...),
	}
	for _, i := range w.open {
		c := w.batch.calls[i]
		f.Ops = append(f.Ops, poolkeeper.QueuedOp{Entry: c.entry, Op: *c.op})
	}
	f.Request = w.encodeRequest(epoch)
	if err := w.s.opts.Spool.Freeze(f.Frozen); err != nil {
		w.s.opts.Logger.Warn("a request cannot be made durable", "key", w.key, "error", err)
		return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the request cannot be made durable: %v", err)
	}
	w.frozen = f
	return nil
}

// outcome is what an answer says of the ops of the frozen request.
func (w *work) outcome(err error) []poolkeeper.Result {
	results := make([]poolkeeper.Result, len(w.frozen.calls))
	for i, j := range w.frozen.calls {
		c := w.batch.calls[j]
		switch {
		case !c.answered && err != nil:
			results[i].Err = err
		case !c.answered:
		case c.text == "": // of a runtime batch, or with an error
			results[i] = c.result
		case c.text == "~" || c.text == "held": // not as it was seen: it goes on
		case c.text == "<":
			results[i].Err = errLater
		default:
			results[i] = c.result
			results[i].Status, results[i].Changed = poolkeeper.Applied, c.text != "0" && c.text != "same"
			results[i].ID = c.op.ID
		}
	}
	return results
}

// settleFrozen tells the Spool what became of the request; false where that has
// to be tried again. The sequence is not used again, nor the next one used,
// before that.
func (w *work) settleFrozen() bool {
	if err := w.s.opts.Spool.Settle(w.frozen.Frozen, w.frozen.results); err != nil {
		if w.tries++; w.tries == 1 {
			w.s.opts.Logger.Warn("the outcome of a request cannot be made durable", "key", w.key, "error", err)
		}
		return false
	}
	w.frozen, w.sentAt, w.tries = nil, time.Time{}, 0
	return true
}

// fail ends a batch with an error; false where the Spool has to be told first,
// again. Behind an op of a Replay that was not applied no other one goes out.
func (w *work) fail(err error) bool {
	if w.s.opts.Spool == nil {
		w.batch.fail(err)
		return true
	}
	if w.batch.queued {
		w.broken.CompareAndSwap(nil, &failure{err: err})
	}
	w.batch.answerAll(err)
	if w.frozen != nil {
		if w.frozen.results == nil { // surely not applied: its ops stay queued
			w.frozen.results = make([]poolkeeper.Result, len(w.frozen.calls))
		}
		w.orphaned = true // nothing goes on
		if !w.settleFrozen() {
			return false
		}
	}
	w.batch.finish()
	return true
}

// gone ends a batch that Redis will not take, as it does not have what came
// before. A frozen one that may have been executed is for a person to decide.
func (w *work) gone(err error) bool {
	if w.frozen != nil && w.sent {
		w.setAside(err)
	}
	return w.fail(err)
}

// setAside makes an error the outcome of the frozen request.
func (w *work) setAside(err error) {
	w.frozen.results = make([]poolkeeper.Result, len(w.frozen.calls))
	for i := range w.frozen.results {
		w.frozen.results[i].Err = err
	}
}

// frozenRefused decides how a frozen request without an answer goes on.
func (w *work) frozenRefused(f *failure) bool {
	if w.s.opts.Now().UnixMilli()-w.frozen.At > maxFrozen.Milliseconds() {
		return w.giveUp(errTooOld)
	}
	// An error that Redis answered: it was not executed this time.
	switch poolkeeper.ClassOf(f.err).Err {
	case poolkeeper.ErrDamaged, poolkeeper.ErrInternal:
		if w.frozen.denied++; !f.sent && w.frozen.denied >= maxDenied {
			return w.giveUp(f.err)
		}
	case poolkeeper.ErrLost:
		return w.giveUp(f.err)
	}
	return false
}

// giveUp sets a frozen request aside. A copy of it may come late, so its
// sequence is left alone: the lane goes on as another writer.
func (w *work) giveUp(err error) bool {
	w.setAside(err)
	w.writer, w.seq, w.sent = newWriter(), 0, false
	return w.fail(err)
}

var errTooOld = poolkeeper.Errorf(poolkeeper.ErrLost, "the request is older than %d days: whether it was executed cannot be found out any more", maxFrozen/(24*time.Hour))
