package redisstore

import (
	"cmp"
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
// need not be built again, and the literals of the definition, from which the
// first write of a field starts. The script takes those only while the
// definition is still the one with that SHA-1, so they may be stale.
type known struct {
	usageCount, lastUsed string // names in the state
	loaded               bool
	sha                  string
	lits                 poolkeeper.Literals
	// Effective literals of times that the script may not be able to read.
	lastErrorTime, lastRefreshTime string
}

// maxKnown bounds what a lane remembers.
const maxKnown = 100_000

// maxTurns bounds how often an op is sent on before it is given up.
const maxTurns = 32

func (l *lane) know(id string) *known {
	if k := l.providers[id]; k != nil {
		return k
	}
	if l.providers == nil || len(l.providers) >= maxKnown {
		l.providers = make(map[string]*known)
	}
	k := &known{usageCount: id + ":usageCount", lastUsed: id + ":lastUsed"}
	l.providers[id] = k
	return k
}

// learn reads the literals of the definitions of providers, and the times in
// their states.
func (l *lane) learn(ids []string) *failure {
	if len(ids) == 0 {
		return nil
	}
	names := make([]string, 0, 2*len(ids))
	for _, id := range ids {
		names = append(names, id+":lastErrorTime", id+":lastRefreshTime")
	}
	rs := l.s.client.DoMulti(context.Background(),
		l.s.client.B().Hmget().Key(l.key).Field(ids...).Build(),
		l.s.client.B().Hmget().Key(l.s.state(l.key)).Field(names...).Build())
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
	nth   int
	n, at int64
}

func (w *work) prepareUsage() *failure {
	rows := make([]usageRow, 0, len(w.open))
	index := make(map[string]int, len(w.open))
	var unknown []string
	w.rowOf = w.rowOf[:0]
	for _, i := range w.open {
		c := &w.batch.calls[i]
		old := ""
		if c.id != c.op.ID {
			old = c.op.ID
		}
		r, ok := index[c.id]
		if ok && rows[r].old != old {
			// A provider has one row, and a row one way to it: this call waits
			// for the next request of the batch.
			w.rowOf = append(w.rowOf, -1)
			continue
		}
		if !ok {
			r = len(rows)
			index[c.id] = r
			rows = append(rows, usageRow{known: w.know(c.id), nth: r, id: c.id, old: old})
			if c.turns > 0 {
				unknown = append(unknown, c.id)
			}
		}
		rows[r].n += c.op.N
		rows[r].at = max(rows[r].at, c.op.At)
		w.rowOf = append(w.rowOf, r)
	}
	if f := w.learn(unknown); f != nil {
		return f
	}
	// Rows that add the same at the same time form a group, which keeps the
	// script's arguments few.
	slices.SortStableFunc(rows, func(a, b usageRow) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.n, b.n))
	})
	place := make([]int, len(rows)) // where a row was before → where it is
	args := make([]string, 0, 3+2*len(rows)+4*len(unknown)+16)
	args = append(args, strconv.Itoa(len(rows)))
	for i := range rows {
		place[rows[i].nth] = i
		args = append(args, rows[i].known.usageCount, rows[i].known.lastUsed)
	}
	for i, r := range w.rowOf {
		if r >= 0 {
			w.rowOf[i] = place[r]
		}
	}
	count := len(args)
	args = append(args, "")
	groups := 0
	for i := 0; i < len(rows); {
		j := i + 1
		for j < len(rows) && rows[j].at == rows[i].at && rows[j].n == rows[i].n {
			j++
		}
		args = append(args, strconv.Itoa(j-i), strconv.FormatInt(rows[i].n, 10), string(rawjson.AppendTime(nil, rows[i].at)))
		groups++
		i = j
	}
	args[count] = strconv.Itoa(groups)
	seeds := len(args)
	args = append(args, "0")
	n := 0
	for i := range rows {
		if k := rows[i].known; k.loaded && slices.Contains(unknown, rows[i].id) {
			n++
			args = append(args, strconv.Itoa(i+1),
				strconv.FormatInt(poolkeeper.Int(k.lits[poolkeeper.UsageCount]), 10), k.lits[poolkeeper.LastUsed], k.sha)
		}
	}
	args[seeds] = strconv.Itoa(n)
	for i := range rows {
		if rows[i].old != "" {
			args = append(args, strconv.Itoa(i+1), rows[i].old)
		}
	}
	w.request = &request{script: usageScript, keys: w.poolKeys(), args: args}
	return nil
}

// poolKeys are the keys of a pool that its scripts are given after ctl.
func (l *lane) poolKeys() []string { return []string{l.s.state(l.key), l.key, l.s.order(l.key)} }

func (w *work) acceptUsage(rev poolkeeper.Revision, results string) error {
	answers := strings.Split(results, ",")
	totals := make([]int64, len(answers))
	for r, a := range answers {
		if a == "" || a[0] == '?' || a[0] == '!' || a[0] == '>' {
			continue
		}
		n, err := strconv.ParseInt(a, 10, 64)
		if err != nil {
			return poolkeeper.Errorf(poolkeeper.ErrInternal, "unexpected count in the answer of a script")
		}
		totals[r] = n
	}
	open := make([]int, 0)
	var again []int
	// The last call of a provider has seen the total, the one before it that
	// much less, and so on.
	for j := len(w.open) - 1; j >= 0; j-- {
		i, r := w.open[j], w.rowOf[j]
		c := &w.batch.calls[i]
		if r < 0 || !w.settle(c, answers[r]) {
			if !c.answered {
				again = append(again, i)
			}
			continue
		}
		c.answerResult(poolkeeper.Result{Status: poolkeeper.Applied, Revision: rev, ID: c.id, Count: totals[r], Changed: true})
		if totals[r] != math.MaxInt64 {
			totals[r] -= c.op.N
		}
	}
	for j := len(again) - 1; j >= 0; j-- {
		open = append(open, again[j])
	}
	w.open = open
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
	var unknown []string
	asked := map[string]bool{}
	for _, i := range w.open {
		c := &w.batch.calls[i]
		if k := w.know(c.id); (!k.loaded || c.turns > 0) && !asked[c.id] {
			asked[c.id] = true
			unknown = append(unknown, c.id)
		}
	}
	if f := w.learn(unknown); f != nil {
		return f
	}
	args := make([]string, 0, 1+23*len(w.open))
	args = append(args, strconv.Itoa(len(w.open)))
	var t clock
	for _, i := range w.open {
		c := &w.batch.calls[i]
		op, k := c.op, w.know(c.id)
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
		args = append(args, c.id, kind, strconv.FormatInt(op.At, 10), t.literal(op.At), quoted(op.Message), quoted(op.Model),
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
		c := &w.batch.calls[i]
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
