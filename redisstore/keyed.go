package redisstore

import (
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// once is the key in Redis of an idempotency key, in the slot of the pool.
func (k keyspace) once(key, idempotencyKey string) string {
	return k.prefix + "once:{" + key + "}:" + poolkeeper.ETag([]byte(idempotencyKey))
}

// prepareKeyed makes the request for increments with idempotency keys, a row for
// each, see keyed.lua.
func (w *work) prepareKeyed() *failure {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget()
	if f := w.learn(w.unread()); f != nil {
		return f
	}
	keys := w.poolKeys()
	args := make([]string, 0, 1+8*len(w.open))
	args = append(args, strconv.Itoa(len(w.open)))
	var t clock
	for _, i := range w.open {
		c := w.batch.calls[i]
		op, k := c.op, w.know(c.id)
		from := ""
		if c.id != op.ID {
			from = op.ID
		}
		n := strconv.FormatInt(op.N, 10)
		keys = append(keys, w.s.once(w.key, op.IdempotencyKey))
		args = append(args, c.id, n, t.literal(w.s.inRedisTime(op.At)), k.sha, strconv.FormatInt(poolkeeper.Int(k.lits[poolkeeper.UsageCount]), 10),
			k.lits[poolkeeper.LastUsed], from, n+" "+op.ID)
	}
	w.request = &request{script: keyedScript, keys: keys, args: args}
	return nil
}

// unread are the providers of the open calls whose definitions are to be read,
// for the first time or anew: always where all are to be applied at once.
func (w *work) unread() []string {
	var ids []string
	asked := map[string]bool{}
	for _, i := range w.open {
		c := w.batch.calls[i]
		if k := w.know(c.id); (!k.loaded || c.turns > 0 || w.batch.origin != "") && !asked[c.id] {
			asked[c.id] = true
			ids = append(ids, c.id)
		}
	}
	return ids
}

func (w *work) acceptKeyed(rev poolkeeper.Revision, results string) error {
	answers := strings.Split(results, ",")
	if len(answers) != len(w.open) {
		return poolkeeper.Errorf(poolkeeper.ErrInternal, "a script gave %d answers for %d rows", len(answers), len(w.open))
	}
	var open []int
	for j, i := range w.open {
		c, text := w.batch.calls[i], answers[j]
		w.know(c.id).left = 0
		if !w.settle(c, text) {
			if !c.answered {
				open = append(open, i)
			}
			continue
		}
		if text == "#" {
			c.answerResult(poolkeeper.Result{Err: errReused})
			continue
		}
		id := c.id
		if before, ok := strings.CutPrefix(text, "="); ok {
			var escaped string
			text, escaped, _ = strings.Cut(before, ":")
			id = unescapeResult(escaped)
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return poolkeeper.Errorf(poolkeeper.ErrInternal, "unexpected count in the answer of a script")
		}
		c.answerResult(poolkeeper.Result{Status: poolkeeper.Applied, Revision: rev, ID: id, Count: n, Changed: true})
	}
	w.open = open
	return nil
}

var errReused = poolkeeper.Errorf(poolkeeper.ErrReused, "the idempotency key was used in this pool for another increment").
	WithHint("an increment that is not a retry needs a key of its own")
