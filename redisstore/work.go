package redisstore

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// work is a batch on its way: what is frozen of it, and how often it was sent.
type work struct {
	*lane
	*sender
	batch   *batch
	open    []int // calls without a result yet
	request *request
	fresh   bool      // K may be without ctl
	sent    bool      // a copy may still reach Redis: the request is frozen
	sentAt  time.Time // with a Spool: when the request was first sent
	began   int64     // when the request was made, in the time of Redis
	tries   int
	stuck   bool // it is being sent again

	lacks bool // what the pool has lost cannot be put back

	atFront  bool // nothing goes out behind it
	foreseen bool // the request says what comes of it

	waits     bool    // for the lane to be mended
	repairing *repair // it is part of that

	orphaned bool    // the callers were let go
	frozen   *frozen // what the Spool has of the request
}

// step sends the batch once. It returns true when the batch is done with, and
// false where it is to be sent again after a pause.
func (w *work) step() bool {
	for {
		if (w.repair.Load() != nil || w.waits) && w.repairing == nil && !w.sent && w.frozen == nil && w.own() {
			if goesOn, done := w.mended(); !goesOn {
				return done
			}
		}
		w.renew()
		if w.frozen != nil && w.frozen.results != nil {
			if !w.settleFrozen() {
				return false
			}
			if w.orphaned { // what goes on is for the next Replay
				w.batch.finish()
				return true
			}
		}
		if w.request == nil {
			if err := w.prepare(); err != nil {
				return w.refused(err)
			}
			if w.request == nil && len(w.open) > 0 { // a check found the lane behind
				return false
			}
			if w.request == nil { // every call has its result
				w.batch.finish()
				return true
			}
			if w.batch.origin != "" {
				w.withOrigin()
			}
			w.letGo()
			w.began = w.s.redisNow()
		}
		epoch, err := w.s.ready(context.Background())
		if err != nil {
			return w.refused(&failure{err: err, again: isOutage(err)})
		}
		if w.s.opts.Spool != nil {
			if f := w.freezeFirst(epoch); f != nil {
				return w.refused(f)
			}
			if w.frozen != nil && w.frozen.epoch != epoch {
				return w.gone(errEpoch)
			}
		}
		keys := append([]string{w.s.ctl(w.key)}, w.request.keys...)
		publish, channel := w.s.channel(epoch, w.key)
		args := append([]string{epoch, w.writer, strconv.FormatUint(w.seq+1, 10), w.flags(),
			strconv.FormatInt(w.s.opts.Now().UnixMilli(), 10), publish, channel}, w.request.withOrigin()...)
		answer, err := w.send(keys, args)
		w.tries++
		if f := classify(err); f != nil {
			return w.refused(f)
		}
		switch {
		case strings.HasPrefix(answer, "OK "), strings.HasPrefix(answer, "NO "):
			if answer[0] == 'O' {
				w.seq++
				w.last = w.s.opts.Now()
			}
			w.sent, w.request, w.fresh, w.tries = false, nil, false, 0
			err := w.accept(answer[3:], answer[0] == 'O')
			w.s.trim(0)
			if w.frozen != nil {
				w.frozen.results = w.outcome(err)
			}
			if err != nil {
				return w.fail(err)
			}
		case strings.HasPrefix(answer, "HERE "), answer == "PART":
			w.sent, w.request, w.fresh, w.tries = false, nil, false, 0
			if err := w.present(answer); err != nil {
				return w.fail(err)
			}
			if w.frozen != nil {
				w.frozen.results = w.outcome(nil)
			}
		case answer == "LOST" && w.own() && w.s.keepsTail():
			return w.isBehind(epoch)
		case answer == "LACK":
			back, err := w.s.wasBack(context.Background(), w.key)
			if err != nil {
				return w.refused(&failure{err: err, again: isOutage(err)})
			}
			w.sent = false                 // it was surely not executed until now
			w.lacks = !back && w.tries > 1 // and nobody else has put it back
		case answer == "GONE":
			return w.isGone(epoch)
		case answer == "NEW":
			// The first write of anybody to this key: make sure that it is not
			// the emptiness of a Redis that lost everything.
			if err := w.confirmEpoch(epoch); err != nil {
				return w.refused(err)
			}
			switch answer, err := w.s.putBack(context.Background(), w.key); {
			case err != nil:
				return w.refused(&failure{err: err, again: isOutage(err)})
			case w.inDoubt() && answer != backNone:
				return w.gone(errUncertain)
			}
			w.fresh = true
		default:
			return w.gone(w.lost(answer))
		}
	}
}

// begin begins the work on a batch that was taken.
func (l *lane) begin(b *batch) *work {
	l.flying.Add(1)
	l.s.tally.batch(len(b.calls))
	w := &work{lane: l, batch: b, open: make([]int, len(b.calls)), atFront: true}
	for i := range w.open {
		w.open[i] = i
	}
	for i := range l.senders {
		if l.senders[i].inUse.CompareAndSwap(false, true) {
			w.sender = &l.senders[i]
			break
		}
	}
	return w
}

// letGo gives up the front where the batch about to be sent is one that another
// may go out behind. Who waits already goes at once.
func (w *work) letGo() {
	if !w.atFront || !w.foreseen {
		return
	}
	w.atFront = false
	if len(w.queue) >= few && w.flying.Load() == 1 {
		w.goOn(nil)
		return
	}
	w.yield() // this batch is in flight: it is not held again
}

// land ends the flight. Whoever has the front, or takes it after this, looks
// for what waits.
func (w *work) land() {
	if w.foreseen { // it went wrong: nobody knows how the pool was left
		w.lose()
	}
	if w.stuck {
		w.resending.Add(-1)
	}
	if w.waits {
		w.waiting.Add(-1)
	}
	w.inUse.Store(false)
	w.flying.Add(-1)
}

// laneIdle is how long a lane may rest. Redis forgets a writer after 30 days, and
// would then take the next sequence for a sign of loss.
const laneIdle = 10 * 24 * time.Hour

// renew begins a lane that has rested for long anew, under another writer id.
func (w *work) renew() {
	if w.seq > 0 && !w.sent && w.frozen == nil && w.s.opts.Now().Sub(w.last) > laneIdle {
		w.writer, w.seq = newWriter(), 0
	}
}

// flags tell the script what it cannot know of the batch.
func (w *work) flags() string {
	flags := ""
	if w.fresh {
		flags = "n"
	}
	if w.sent {
		flags += "a@" + strconv.FormatInt(w.began, 10)
	}
	if w.frozen != nil || w.batch.again {
		flags += "q"
	}
	if w.s.opts.Durability == Replicated {
		flags += "r"
	}
	if w.lacks {
		flags += "l"
	}
	if w.request.origin != "" {
		flags += "o"
	}
	return flags
}

// refused decides what an attempt without an answer, or with a refusal, means.
func (w *work) refused(f *failure) bool {
	w.sent = w.sent || f.sent
	if f.sent {
		w.resent = true
	}
	if !f.again && !w.sent {
		return w.fail(f.err)
	}
	if !w.stuck {
		w.stuck = true
		w.resending.Add(1)
		w.s.tally.resent.Add(1)
	}
	if w.s.opts.Spool != nil {
		if w.frozen != nil {
			return w.frozenRefused(f)
		}
		if w.sent && !w.batch.bare && !w.orphaned && w.freezeSent() {
			return false
		}
	}
	if time.Since(w.batch.formed) < w.bound() {
		return false
	}
	if !w.sent {
		w.batch.fail(f.err)
		return true
	}
	// The callers hear that the outcome is unknown; the lane goes on finding
	// it out, because nothing may overtake the batch.
	if !w.orphaned {
		orphan := w.batch.orphan()
		err := f.err
		if poolkeeper.ClassOf(err).Err != poolkeeper.ErrIndeterminate || w.s.opts.Durability != Replicated {
			err = poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "no answer from Redis for %v", w.bound())
		}
		w.batch.fail(err)
		w.batch, w.orphaned = orphan, true
	}
	return false
}

// pause is how long to wait before the batch is sent again.
func (w *work) pause() time.Duration {
	d := time.Millisecond << min(w.tries, 8)
	return d/2 + rand.N(d)
}

// abandon answers a batch whose outcome will not be known: the store closes.
func (w *work) abandon() {
	if w.frozen != nil {
		w.resent = true // the next process sends it again: its sequence is not forgotten
	}
	if w.sent {
		w.batch.fail(poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "the store was closed before an answer came"))
		return
	}
	w.batch.fail(&poolkeeper.Error{Err: poolkeeper.ErrClosed})
}

// confirmEpoch makes sure that the store is still the one that was opened.
func (w *work) confirmEpoch(epoch string) *failure {
	now, err := w.s.client.Do(context.Background(), w.s.client.B().Hget().Key(w.s.meta()).Field(metaEpoch).Build()).ToString()
	if err == nil && now == epoch {
		return nil
	}
	if err != nil && !isNil(err) {
		f := classify(err)
		f.sent = false // a read leaves nothing behind
		return f
	}
	return &failure{err: errEpoch}
}

var errEpoch = poolkeeper.Errorf(poolkeeper.ErrLost, "the store in Redis is gone, or is another one than the one that was opened").
	WithHint("Redis was emptied or restored; check it before anything is written")

// lost explains an answer that refuses the whole batch.
func (w *work) lost(answer string) error {
	switch answer {
	case "EPOCH":
		return errEpoch
	case "GONE", "LOST":
		if answer == "GONE" && w.inDoubt() {
			return errUncertain
		}
		return poolkeeper.Errorf(poolkeeper.ErrLost, "Redis no longer has changes of %s that it had acknowledged", w.key).
			WithHint("Redis was restored from an older state; check it before anything is written")
	}
	if answer == "OLD" { // of a request that was resumed, and whose end could not be noted
		return poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "Redis has executed later requests of the same writer: what came of this one is not known")
	}
	return poolkeeper.Errorf(poolkeeper.ErrInternal, "unexpected answer %q from a script", firstLine(answer))
}

// prepare makes the request for the calls that are open.
func (w *work) prepare() *failure {
	if len(w.open) == 0 {
		return nil
	}
	if w.batch.kind == checkBatch {
		return w.look()
	}
	switch w.batch.kind {
	case usageBatch:
		return w.prepareUsage()
	case decideBatch:
		return w.prepareDecide()
	case keyedBatch:
		return w.prepareKeyed()
	case valueBatch:
		w.prepareValues()
	default:
		w.mu.Lock()
		w.view.number++ // it may change anything
		w.mu.Unlock()
		w.request = w.batch.calls[w.open[0]].row
	}
	return nil
}

// accept gives the calls their results from "<revision>;<results>". used says that
// the batch has used its sequence.
func (w *work) accept(answer string, used bool) error {
	text, results, _ := strings.Cut(answer, ";")
	rev, err := parseRevision(text)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	current, was := w.follow(text, rev, results), w.open
	switch w.batch.kind {
	case usageBatch:
		err = w.acceptUsage(rev, results, current)
	case decideBatch:
		err = w.acceptDecide(rev, results)
	case keyedBatch:
		err = w.acceptKeyed(rev, results)
	case valueBatch:
		for i, r := range strings.Split(results, ",") {
			w.batch.calls[w.open[i]].answerText(r, rev)
		}
		w.open = w.open[:0]
	default:
		w.batch.calls[w.open[0]].answerText(results, rev)
		w.open = w.open[:0]
	}
	if err == nil {
		w.credit(rev, was, used, results)
	}
	return err
}

// formatRevision is the revision as Redis has it.
func formatRevision(r poolkeeper.Revision) string {
	return strconv.FormatUint(r.Number, 10) + " " + r.Writer + " " + strconv.FormatUint(r.Seq, 10)
}

// parseRevision reads "<number> <writer> <sequence>", or "0".
func parseRevision(s string) (poolkeeper.Revision, error) {
	if s == "0" || s == "" {
		return poolkeeper.Revision{}, nil
	}
	var r poolkeeper.Revision
	first, rest, ok := strings.Cut(s, " ")
	writer, last, ok2 := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(first, 10, 64)
	seq, err2 := strconv.ParseUint(last, 10, 64)
	if !ok || !ok2 || err != nil || err2 != nil {
		return r, poolkeeper.Errorf(poolkeeper.ErrDamaged, "a stored revision cannot be read")
	}
	return poolkeeper.Revision{Number: n, Writer: writer, Seq: seq}, nil
}

func isOutage(err error) bool {
	return poolkeeper.ClassOf(err).Err == poolkeeper.ErrUnavailable
}

// unescapeResult reverses escape of the prelude.
func unescapeResult(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
