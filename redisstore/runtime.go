package redisstore

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/redis/rueidis"
)

// known is what a lane remembers of a provider between batches: names that
// need not be built again; the literals of the definition, from which the
// first write of a field starts; and what the last usage batch left in the
// state. The script takes the literals only while the definition is still the
// one with that SHA-1, and what was left only while the pool is at the revision
// that the lane has seen last, so all of it may be stale.
type known struct {
	usageCount, lastUsed string // names in the state
	loaded               bool
	sha                  string
	lits                 poolkeeper.Literals
	// Effective literals of times that the script may not be able to read.
	lastErrorTime, lastRefreshTime string

	left  uint64 // the lane's view in which count and used hold
	count int64
	used  string // the literal of lastUsed

	batch uint64 // the usage batch in which it has a row
	row   int

	table *idTable // in which it has the number index
	index uint64
}

// id is that of the provider.
func (k *known) id() string { return strings.TrimSuffix(k.usageCount, ":usageCount") }

// A view is the state of a pool as this lane left it, or will have left it once
// what is in flight is done: nobody else has changed it as long as the pool is
// then at rev. What is known from an earlier view is void.
type view struct {
	number uint64 // 0: there was none yet
	rev    string // as Redis has it; empty where it is not known
	at     poolkeeper.Revision
}

func (l *lane) foresees() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view.rev != ""
}

// foresee takes note that a batch will leave the pool as it says.
func (w *work) foresee() {
	w.foreseen = true
	w.view.at = poolkeeper.Revision{Number: w.view.at.Number + 1, Writer: w.writer, Seq: w.seq + 1}
	w.view.rev = formatRevision(w.view.at)
}

// follow takes note of the revision that an answer came with, and reports
// whether the answer tells how the pool is now. That is known where nothing else
// is in flight, and where what is came as foreseen. The view goes on where a batch
// of this lane was all that has happened since.
func (w *work) follow(text string, rev poolkeeper.Revision, results string) (current bool) {
	foreseen := w.foreseen
	w.foreseen = false
	if foreseen && results == "=" {
		return false // there is nothing in it that is not known
	}
	if w.flying.Load() > 1 {
		// The other one may have been before this, or may come yet; what was
		// foreseen of it may be part of the view.
		w.view = view{number: w.view.number + 1}
		return false
	}
	v := &w.view
	if text == v.rev && !foreseen {
		return true
	}
	own := rev.Number == v.at.Number+1 && rev.Seq == w.seq && rev.Writer == w.writer && v.rev != ""
	if !own || foreseen {
		v.number++
	}
	v.rev, v.at = text, rev
	return true
}

// lose takes note that nobody knows how a batch left the pool.
func (w *work) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.foreseen = false
	w.view = view{number: w.view.number + 1}
}

// maxKnown bounds what a lane remembers.
const maxKnown = 100_000

// maxTurns bounds how often an op is sent on before it is given up.
const maxTurns = 32

// know returns what is known of a provider.
func (l *lane) know(id string) *known {
	if k := l.providers[id]; k != nil {
		return k
	}
	k := &known{usageCount: id + ":usageCount", lastUsed: id + ":lastUsed"}
	l.providers[id] = k
	return k
}

// forget makes room where much is known.
func (l *lane) forget() {
	if l.providers == nil || len(l.providers) >= maxKnown {
		l.providers = make(map[string]*known)
	}
}

// learn reads the literals of the definitions of providers, and the times in
// their states. The lock is held, but for the reading.
func (l *lane) learn(ids []string) *failure {
	if len(ids) == 0 {
		return nil
	}
	names := make([]string, 0, 2*len(ids))
	for _, id := range ids {
		names = append(names, id+":lastErrorTime", id+":lastRefreshTime")
	}
	l.mu.Unlock()
	rs := l.s.client.DoMulti(context.Background(),
		l.s.client.B().Hmget().Key(l.key).Field(ids...).Build(),
		l.s.client.B().Hmget().Key(l.s.state(l.key)).Field(names...).Build())
	l.mu.Lock()
	var parts [2][]rueidis.RedisMessage
	for i, r := range rs {
		var err error
		if parts[i], err = r.ToArray(); err != nil {
			f := classify(err)
			f.sent = false // a read leaves nothing behind
			f.err = readError(err)
			return f
		}
	}
	for i, m := range parts[0] {
		k := l.know(ids[i])
		k.loaded = false
		if def, err := m.ToString(); err == nil {
			k.loaded, k.sha, k.lits = true, contentSHA([]byte(def)), poolkeeper.LiteralsOf([]byte(def))
			k.lastErrorTime = textOr(parts[1][2*i], k.lits[poolkeeper.LastErrorTime])
			k.lastRefreshTime = textOr(parts[1][2*i+1], k.lits[poolkeeper.LastRefreshTime])
		}
	}
	return nil
}

// clock prints times as literals, mostly the same one many times.
type clock struct {
	at  int64
	lit string
}

func (c *clock) literal(at int64) string {
	if c.lit == "" || c.at != at {
		c.at, c.lit = at, string(rawjson.AppendTime(nil, at))
	}
	return c.lit
}

// A row of a usage batch is the increments of one provider, under one id.
type usageRow struct {
	known *known
	id    string
	old   string // the id under which the ops came, where they were sent on
	n, at int64
	used  string // the literal of at
	count int64  // what the counter becomes if the pool is as the lane left it

	applied bool
}

func (w *work) prepareUsage() *failure {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget()
	w.batches++
	w.rows, w.rowOf = w.rows[:0], w.rowOf[:0]
	var unknown []string
	for _, i := range w.open {
		c := w.batch.calls[i]
		old := ""
		if c.id != c.op.ID {
			old = c.op.ID
		}
		k := w.know(c.id)
		if k.batch != w.batches {
			k.batch, k.row = w.batches, len(w.rows)
			w.rows = append(w.rows, usageRow{known: k, id: c.id, old: old})
			if c.turns > 0 || w.batch.origin != "" {
				unknown = append(unknown, c.id)
			}
		}
		r := &w.rows[k.row]
		if r.old != old {
			// A provider has one row, and a row one way to it: this call waits
			// for the next request of the batch.
			w.rowOf = append(w.rowOf, -1)
			continue
		}
		r.n += c.op.N
		r.at = max(r.at, w.s.inRedisTime(c.op.At))
		w.rowOf = append(w.rowOf, k.row)
	}
	if f := w.learn(unknown); f != nil {
		return f
	}
	w.request = &request{script: usageScript, keys: w.poolKeys(), args: w.usageArgs(len(unknown))}
	return nil
}

// usageArgs are the arguments of the script, see usage.lua.
func (w *work) usageArgs(unknown int) []string {
	rev := w.view.rev
	const fixed = 5
	args := make([]string, fixed, fixed+1+4*len(w.rows)+4*unknown+16)
	added, used := make([]byte, 0, 4*len(w.rows)), make([]byte, 0, 26*len(w.rows))
	var t clock
	for i := range w.rows {
		r := &w.rows[i]
		k := r.known
		r.used = t.literal(r.at)
		if k.left != w.view.number || k.used > r.used || r.old != "" {
			rev = ""
		}
		r.count = poolkeeper.AddCount(k.count, r.n)
		args = append(args, k.usageCount, strconv.FormatInt(r.count, 10))
		if k.left != w.view.number || k.used != r.used {
			args = append(args, k.lastUsed, r.used)
		}
		added, used = append(strconv.AppendInt(added, r.n, 10), ' '), append(used, r.used...)
	}
	if rev != "" {
		w.foresee()
		for i := range w.rows {
			r := &w.rows[i]
			r.known.count, r.known.used = r.count, r.used
		}
	}
	args[0], args[1], args[2], args[3], args[4] = rev, strconv.Itoa(len(w.rows)), string(added), string(used), strconv.Itoa(len(args)-fixed)
	seeds := len(args)
	args = append(args, "")
	n := 0
	for i := range w.rows {
		if k := w.rows[i].known; k.loaded && unknown > 0 {
			n++
			args = append(args, strconv.Itoa(i+1),
				strconv.FormatInt(poolkeeper.Int(k.lits[poolkeeper.UsageCount]), 10), k.lits[poolkeeper.LastUsed], k.sha)
		}
	}
	args[seeds] = strconv.Itoa(n)
	for i := range w.rows {
		if w.rows[i].old != "" {
			args = append(args, strconv.Itoa(i+1), w.rows[i].old)
		}
	}
	return args
}

// poolKeys are the keys of a pool that its scripts are given after ctl.
func (l *lane) poolKeys() []string { return []string{l.s.state(l.key), l.key, l.s.order(l.key)} }

func (w *work) acceptUsage(rev poolkeeper.Revision, results string, current bool) error {
	var answers []string // none: each counter is what the request said
	if results == "=" {
		for i := range w.rows {
			w.rows[i].applied = true
		}
	} else {
		answers = strings.Split(results, ",")
		if len(answers) != len(w.rows) {
			return poolkeeper.Errorf(poolkeeper.ErrInternal, "a script gave %d answers for %d rows", len(answers), len(w.rows))
		}
	}
	for i, a := range answers {
		r := &w.rows[i]
		if a == "" || a[0] == '?' || a[0] == '!' || a[0] == '>' {
			continue
		}
		later := a[0] == '^' // lastUsed was later than this
		n, err := strconv.ParseInt(strings.TrimPrefix(a, "^"), 10, 64)
		if err != nil {
			return poolkeeper.Errorf(poolkeeper.ErrInternal, "unexpected count in the answer of a script")
		}
		r.count, r.applied = n, true
		if k := r.known; later {
			k.left = 0
		} else if current {
			k.left, k.count, k.used = w.view.number, r.count, r.used
		}
	}
	var again []int
	// The last call of a provider has seen the total, the one before it that
	// much less, and so on.
	for j := len(w.open) - 1; j >= 0; j-- {
		i, r := w.open[j], w.rowOf[j]
		c := w.batch.calls[i]
		if r < 0 || answers != nil && !w.settle(c, answers[r]) {
			if !c.answered {
				again = append(again, i)
			}
			continue
		}
		row := &w.rows[r]
		c.answerResult(poolkeeper.Result{Status: poolkeeper.Applied, Revision: rev, ID: c.id, Count: row.count, Changed: true})
		if row.count != math.MaxInt64 {
			row.count -= c.op.N
		}
	}
	slices.Reverse(again)
	w.open = again
	return nil
}

// settle reads the part of an answer that is common to the runtime scripts. It
// returns true where the row was applied; else the call has its error, or is
// to be sent again.
func (w *work) settle(c *call, answer string) bool {
	if answer == "" {
		c.answerResult(poolkeeper.Result{Err: poolkeeper.Errorf(poolkeeper.ErrInternal, "a script gave no answer")})
		return false
	}
	switch answer[0] {
	case '!':
		c.answerResult(poolkeeper.Result{Err: notFound(c.op.Ref())})
		return false
	case '>':
		c.id = unescapeResult(answer[1:])
	case '?':
	default:
		return true
	}
	if c.turns++; c.turns > maxTurns {
		c.answerResult(poolkeeper.Result{Err: poolkeeper.Errorf(poolkeeper.ErrConflict, "the provider changed too often meanwhile")})
	}
	return false
}

func notFound(r poolkeeper.Ref) error {
	return poolkeeper.Errorf(poolkeeper.ErrNotFound, "there is no provider %s", r)
}

func (w *work) prepareDecide() *failure {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget()
	if f := w.learn(w.unread()); f != nil {
		return f
	}
	args := make([]string, 0, 1+23*len(w.open))
	args = append(args, strconv.Itoa(len(w.open)))
	var t clock
	for _, i := range w.open {
		c := w.batch.calls[i]
		op, k := c.op, w.know(c.id)
		at := w.s.inRedisTime(op.At)
		kind := string(op.Kind)
		if op.Kind == poolkeeper.OpRefresh {
			kind = string(op.Phase)
		}
		recovery := ""
		if op.RecoverAt > 0 {
			recovery = string(rawjson.AppendTime(nil, op.RecoverAt))
		}
		flags, from := "", ""
		if c.id != op.ID {
			from = op.ID
		}
		if op.Healthy {
			flags += "h"
		}
		if op.Immediate {
			flags += "i"
		}
		if op.Usage {
			flags += "u"
		}
		args = append(args, c.id, kind, strconv.FormatInt(at, 10), t.literal(at), quoted(op.Message), quoted(op.Model),
			strconv.FormatInt(op.Threshold, 10), recovery, strconv.FormatInt(op.N, 10), flags, k.sha)
		for _, f := range []poolkeeper.Field{poolkeeper.UsageCount, poolkeeper.ErrorCount, poolkeeper.RefreshCount} {
			args = append(args, strconv.FormatInt(poolkeeper.Int(k.lits[f]), 10))
		}
		args = append(args, k.lits[poolkeeper.LastUsed], k.lits[poolkeeper.LastErrorTime], k.lits[poolkeeper.IsHealthy],
			k.lits[poolkeeper.LastRefreshTime], from,
			k.lastErrorTime, millis(k.lastErrorTime), k.lastRefreshTime, millis(k.lastRefreshTime))
	}
	w.request = &request{script: decideScript, keys: w.poolKeys(), args: args}
	return nil
}

// millis is a time as a number, or nothing.
func millis(lit string) string {
	ms, ok := rawjson.ParseTimeMillis([]byte(lit))
	if !ok {
		return ""
	}
	return strconv.FormatInt(ms, 10)
}

func quoted(s *string) string {
	if s == nil {
		return ""
	}
	return string(rawjson.Quote(*s))
}

func (w *work) acceptDecide(rev poolkeeper.Revision, results string) error {
	answers := strings.Split(results, ",")
	var open []int
	for j, i := range w.open {
		c := w.batch.calls[i]
		w.know(c.id).left = 0
		if !w.settle(c, answers[j]) {
			if !c.answered {
				open = append(open, i)
			}
			continue
		}
		count, flags, _ := strings.Cut(answers[j], ":")
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil || len(flags) != 3 {
			return poolkeeper.Errorf(poolkeeper.ErrInternal, "unexpected result in the answer of a script")
		}
		c.answerResult(poolkeeper.Result{Status: poolkeeper.Applied, Revision: rev, ID: c.id, Count: n,
			Healthy: flags[0] == '1', Changed: flags[2] == '1'})
	}
	w.open = open
	return nil
}

func isNil(err error) bool { return rueidis.IsRedisNil(err) }
