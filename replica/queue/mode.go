package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A state is how the store was when it was last looked at.
type state struct {
	mode  poolkeeper.Mode
	since time.Time // when the mode began
	away  time.Time // when the outage began; zero where there is none
	err   error     // why the store is not used
	info  poolkeeper.Info
	ops   int // that waited then
}

type counts struct {
	queued, settled atomic.Uint64
	turned          map[poolkeeper.Mode]uint64 // guarded by the mutex of the Queue
}

// judge says which mode a look at the store leads to.
func (q *Queue) judge(info poolkeeper.Info, err error) state {
	next := state{info: info, err: err, ops: q.log.State().Ops}
	if err == nil {
		next.mode = poolkeeper.ModeOnline
		if q.waiting.Load() > 0 {
			next.mode = poolkeeper.ModeReplaying
		}
		return next
	}
	known := q.log.Epoch() != ""
	switch poolkeeper.ClassOf(err).Err {
	case poolkeeper.ErrUninitialized:
		next.mode = poolkeeper.ModeEmpty
		if known { // it was not empty before
			next.mode = poolkeeper.ModeLost
			next.err = poolkeeper.Errorf(poolkeeper.ErrLost, "the store is empty, and was not when this instance last saw it").
				WithHint("put back what this instance has: poolkeeper recover")
		}
	case poolkeeper.ErrForeign:
		next.mode = poolkeeper.ModeForeign
	case poolkeeper.ErrLost, poolkeeper.ErrInvalid:
		next.mode = poolkeeper.ModeLost
	case poolkeeper.ErrForbidden:
		next.mode = poolkeeper.ModeRefused
	default:
		next.mode = poolkeeper.ModeDegraded
	}
	return next
}

// turn goes on in the mode of a look at the store, and says so where it is another
// one; stands is that of the mode. It returns whether the store is used. The mutex is
// held: the backlog, whose hooks take it, must not be asked, nor the Standby.
func (q *Queue) turn(next state, stands bool) (up bool) {
	now := q.opts.Now()
	was := q.state
	if next.mode == poolkeeper.ModeDegraded {
		if next.away = was.away; next.away.IsZero() {
			next.away = now
		}
		if now.Sub(next.away) >= q.opts.FallbackAfter {
			next.mode = poolkeeper.ModeFallback
		}
	}
	if next.since = was.since; next.mode != was.mode {
		next.since = now
	}
	q.state = next
	if up = sends(next.mode); !up {
		q.endStay()
	}
	// An empty store says so itself to each caller, where there is nothing to serve
	// meanwhile.
	q.down.Store(next.mode.Queues() && (next.mode != poolkeeper.ModeEmpty || stands || q.waiting.Load() > 0) || q.src.Load() == nil)
	q.seen = q.seen || up
	if next.mode != was.mode {
		q.counts.turned[next.mode]++
		q.say(was, now, stands)
		if q.opts.Turned != nil {
			q.opts.Turned(was.mode, next.mode)
		}
	}
	return up
}

// sends reports whether ops are sent to the store in a mode.
func sends(m poolkeeper.Mode) bool {
	return m == poolkeeper.ModeOnline || m == poolkeeper.ModeReplaying
}

// stands reports whether there is something to serve in a mode, where that makes a
// difference: nothing was read of the store itself yet. The Standby may be read from a
// disk for that, so the mutex is not held.
func (q *Queue) stands(m poolkeeper.Mode) bool {
	if q.opts.Standby == nil {
		return false
	}
	switch m {
	case poolkeeper.ModeEmpty:
		return q.opts.Standby()
	case poolkeeper.ModeDegraded, poolkeeper.ModeFallback:
		q.mu.Lock()
		seen := q.seen
		q.mu.Unlock()
		return !seen && q.opts.Standby()
	}
	return false
}

// say logs a transition, in one line.
func (q *Queue) say(was state, now time.Time, stands bool) {
	args := []any{"mode", string(q.state.mode)}
	if was.mode != "" {
		args = append(args, "before", string(was.mode), "lasted", now.Sub(was.since).Round(time.Millisecond).String())
	}
	if q.state.ops > 0 {
		args = append(args, "queued", q.state.ops)
	}
	if q.state.err != nil {
		args = append(args, "problem", q.state.err)
	}
	switch q.state.mode {
	case poolkeeper.ModeOnline:
		q.opts.Logger.Info("the store is there", args...)
	case poolkeeper.ModeReplaying:
		q.opts.Logger.Info("the store is back: what is queued is brought to it", args...)
	case poolkeeper.ModeDegraded, poolkeeper.ModeFallback:
		q.opts.Logger.Warn(q.served(stands), args...)
	case poolkeeper.ModeEmpty:
		q.opts.Logger.Error("the store is empty: run poolkeeper import or poolkeeper init", args...)
	case poolkeeper.ModeForeign:
		q.opts.Logger.Error("the store holds what Poolkeeper did not write: nothing is written to it", args...)
	case poolkeeper.ModeLost:
		q.opts.Logger.Error("the store is not the one that was written to: it is not believed, and writes are queued", args...)
	case poolkeeper.ModeRefused:
		q.opts.Logger.Error("the store refuses this instance", args...)
	}
}

// served says, of a store that is away, what is served meanwhile.
func (q *Queue) served(stands bool) string {
	stays := q.state.mode == poolkeeper.ModeFallback
	switch nothing := !q.seen && !stands; {
	case nothing && stays:
		return "the store stays away, and this instance has nothing of it to serve"
	case nothing:
		return "the store is away, and this instance has nothing of it to serve: reads are refused, writes are queued"
	case stays:
		return "the store stays away: the fallback directory is kept current"
	}
	return "the store is away: reads go on from the copy, writes are queued"
}

// Mode is how the Queue serves.
func (q *Queue) Mode() poolkeeper.Mode {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state.mode
}

// Info implements poolkeeper.Backend. A store that is not used is described as it
// was when it was last looked at: nobody waits for one that does not answer.
func (q *Queue) Info(ctx context.Context) (poolkeeper.Info, error) {
	q.mu.Lock()
	state, closed := q.state, q.closed
	q.mu.Unlock()
	if closed {
		return poolkeeper.Info{}, &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	info := state.info
	if src := q.src.Load(); src != nil && !q.down.Load() {
		found, err := q.ask(ctx, src.Source)
		if ctx.Err() != nil {
			return info, ctx.Err()
		}
		if info = found; err != nil {
			info = state.info
			info.Ready, info.Problem = false, err.Error()
		}
		if !info.Ready { // it has changed since
			state = q.again(ctx)
		}
	}
	if ctx.Err() != nil {
		return info, ctx.Err()
	}
	// What was found by a look is for all who ask until the next one.
	info.Details, info.Warnings = maps.Clone(info.Details), slices.Clone(info.Warnings)
	q.describe(&info, state)
	return info, nil
}

// soon is how long whoever asks for the facts waits for a store that was there when
// it was last looked at, and as long again for the next look.
const soon = time.Second

func (q *Queue) ask(ctx context.Context, src Source) (poolkeeper.Info, error) {
	patient, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	info, err := src.Info(patient)
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		err = unanswered(src, soon)
	}
	return info, err
}

// again is the state after another look at a store that is not as it was; that before
// it where the look takes long, as of a store that does not answer.
func (q *Queue) again(ctx context.Context) state {
	late := time.NewTimer(soon)
	defer late.Stop()
	for range 2 { // a look may be under way that began too early
		q.mu.Lock()
		now, ended := q.state, q.ended
		q.mu.Unlock()
		if !sends(now.mode) {
			return now
		}
		q.suspect()
		select {
		case <-ended:
			continue
		case <-late.C:
		case <-ctx.Done():
		case <-q.ctx.Done():
		}
		break
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state
}

func (q *Queue) describe(info *poolkeeper.Info, state state) {
	info.Mode, info.Since = state.mode, state.since.UnixMilli()
	// Where the store is asked and is ready, or what can wait is queued. Of one that has
	// stopped to answer it is, too, before a look has found that out.
	info.Serving = info.Ready || sends(state.mode) || q.down.Load() && state.mode.Queues()
	if state.err != nil && (q.down.Load() || state.mode == poolkeeper.ModeLost) { // else the store itself was asked
		info.Ready = false
		if info.Problem == "" || errors.Is(state.err, poolkeeper.ErrLost) {
			info.Problem = state.err.Error()
		}
	}
	queue := q.info()
	info.Queue = &queue
	if queue.Lost > 0 {
		info.Warnings = append(info.Warnings, fmt.Sprintf("the store has lost %d acknowledged ops for good: poolkeeper journal list has them by key", queue.Lost))
	}
}

func (q *Queue) info() poolkeeper.QueueInfo {
	s := q.log.State()
	lost := int64(0)
	for _, l := range q.log.Lost() {
		lost += l.Ops
	}
	return poolkeeper.QueueInfo{Lost: lost, Ops: s.Ops, Frozen: s.Frozen, Aside: s.Aside, Bytes: s.Bytes, Dropped: s.Dropped, Durable: q.log.Durable()}
}

// Measure makes the layer a poolkeeper.Meter, as what it is over may be one.
func (q *Queue) Measure(ctx context.Context) poolkeeper.Measures {
	var m poolkeeper.Measures
	if src := q.src.Load(); src != nil && !q.down.Load() {
		if meter, ok := src.Source.(poolkeeper.Meter); ok {
			m = meter.Measure(ctx)
		}
	}
	info := q.info()
	q.mu.Lock()
	defer q.mu.Unlock()
	m.Queue = &poolkeeper.QueueMeasures{
		QueueInfo: info, Mode: q.state.mode, InMode: q.opts.Now().Sub(q.state.since),
		Queued: q.counts.queued.Load(), Settled: q.counts.settled.Load(), Transitions: map[poolkeeper.Mode]uint64{},
	}
	for mode, n := range q.counts.turned {
		m.Queue.Transitions[mode] = n
	}
	return m
}
