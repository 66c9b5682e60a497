package redisstore

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// turn begins the new writers, and finds out what is missing.
func (w *work) turn(r *repair) *failure {
	epoch, err := w.s.ready(context.Background())
	if err != nil {
		return &failure{err: err, again: isOutage(err)}
	}
	if f := w.confirmEpoch(epoch); f != nil {
		return f
	}
	// Before it is begun anew, as an empty one.
	if _, err := w.s.putBack(context.Background(), w.key); err != nil {
		return &failure{err: err, again: isOutage(err)}
	}
	if r.writers[0] == "" {
		r.writers = [2]string{newWriter(), newWriter()}
	}
	put, upto, f := w.upTo()
	if f != nil {
		return f
	}
	w.mu.Lock()
	w.tail.account(w.senders[0].writer)
	w.tail.account(w.senders[1].writer)
	accounts, seen, came := slices.Clone(w.tail.accounts), w.tail.seen, w.cameBack(upto)
	w.mu.Unlock()
	publish, channel := w.s.channel(epoch, w.key)
	args := []string{epoch, r.writers[0], "1", "ant", strconv.FormatInt(w.s.opts.Now().UnixMilli(), 10), publish, channel, r.writers[1], strconv.FormatUint(seen, 10), w.s.changeOf(w.key), put}
	for i, a := range accounts {
		args = append(args, a.writer, strconv.FormatUint(came[i], 10))
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
	if answer == "AGAIN" {
		return nil
	}
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
	w.turned(r, accounts, has, upto)
	return nil
}

// turned takes note of what Redis has: the last sequence of each writer, and all up to
// a revision where the key was put back.
func (w *work) turned(r *repair, accounts []*account, has []uint64, upto uint64) {
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
	for i := range lost {
		ops, n = ops-lost[i].counted, n-lost[i].sum()
	}
	// What is owed from an earlier turn is in no account; a server that was never there
	// may have it.
	was := w.tail.owed
	w.tail.owed = nil
	for _, o := range was {
		if o.gone = true; o.seq <= has[o.writer] || o.number <= upto {
			w.restore(&o.keptBatch, now)
			continue
		}
		lost = append(lost, o.keptBatch)
	}
	var todo []keptOp
	for i := range lost {
		b := &lost[i]
		var of *owed
		if b.isRuntime() {
			of = &owed{keptBatch: *b}
			w.tail.owed = append(w.tail.owed, of)
		}
		for _, k := range b.ops {
			if k.op != nil && replaces(k.op) { // when it was, is said with it: see value.lua
				then := *k.op
				then.At = w.s.localTime(b.at)
				k.op = &then
			}
			k.of = of
			todo = append(todo, k)
		}
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
	together(lost)
	return lost
}

// together has increments that follow each other stand by their writers, as they may
// be applied in any order: one origin is of one writer.
func together(all []keptBatch) {
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(b keptBatch) bool { return b.whole })
		if n < 0 {
			n = len(all)
		}
		slices.SortStableFunc(all[:n], func(a, b keptBatch) int { return a.writer - b.writer })
		all = all[min(n+1, len(all)):]
	}
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
