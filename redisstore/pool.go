package redisstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// chunk is how many providers travel in one command where many do.
const chunk = 500

// stageLife is how long a stage may lie before it is taken.
const stageLife = time.Hour

// A structure is the membership, order and definitions of a pool, at one
// structure revision.
type structure struct {
	rev   string // as the scripts write it; "0" where there is none
	sweep bool   // state of removed providers may still lie about
	ids   []string
	defs  map[string][]byte
}

// readStructure reads it in one transaction.
func (s *Store) readStructure(ctx context.Context, key string) (structure, error) {
	var st structure
	parts, err := s.transaction(ctx,
		s.client.B().Hmget().Key(s.ctl(key)).Field("srev", "sweep").Build(),
		s.client.B().Zrange().Key(s.order(key)).Min("0").Max("-1").Build(),
		s.client.B().Hgetall().Key(key).Build())
	if err != nil {
		return st, err
	}
	ctl, err := parts[0].ToArray()
	if err != nil {
		return st, readError(err)
	}
	st.rev = textOr(ctl[0], "0")
	st.sweep = textOr(ctl[1], "") != ""
	order, err := parts[1].AsStrSlice()
	if err != nil {
		return st, readError(err)
	}
	defs, err := parts[2].AsStrMap()
	if err != nil {
		return st, readError(err)
	}
	st.defs = make(map[string][]byte, len(defs))
	for id, def := range defs {
		st.defs[id] = []byte(def)
	}
	st.ids = completeOrder(order, st.defs)
	return st, nil
}

// completeOrder drops from an order what is not there, and puts at its end, by
// id, what a foreign writer added without it.
func completeOrder[T any](order []string, have map[string]T) []string {
	ids := make([]string, 0, len(have))
	listed := make(map[string]bool, len(have))
	for _, id := range order {
		if _, ok := have[id]; ok {
			ids = append(ids, id)
			listed[id] = true
		}
	}
	if len(ids) < len(have) {
		var rest []string
		for id := range have {
			if !listed[id] {
				rest = append(rest, id)
			}
		}
		slices.Sort(rest)
		ids = append(ids, rest...)
	}
	return ids
}

// transaction runs commands on one slot in MULTI and EXEC.
func (s *Store) transaction(ctx context.Context, cmds ...rueidis.Completed) ([]rueidis.RedisMessage, error) {
	all := make(rueidis.Commands, 0, len(cmds)+2)
	all = append(all, s.client.B().Multi().Build())
	all = append(all, cmds...)
	all = append(all, s.client.B().Exec().Build())
	rs := s.client.DoMulti(ctx, all...)
	parts, err := rs[len(rs)-1].ToArray()
	if err != nil {
		for _, r := range rs { // the first error says more than EXECABORT
			if e := r.Error(); e != nil && !isNil(e) {
				return nil, readError(e)
			}
		}
		return nil, readError(err)
	}
	return parts, nil
}

func textOr(m rueidis.RedisMessage, none string) string {
	if t, err := m.ToString(); err == nil {
		return t
	}
	return none
}

// changePool tries an op on a whole pool once. ok is false where its structure
// changed between reading and writing.
func (s *Store) changePool(ctx context.Context, op *poolkeeper.Op) (res poolkeeper.Result, ok bool) {
	key, typ := s.pool(op.Key.Type), op.Key.Type
	st, err := s.readStructure(ctx, key)
	if err != nil {
		return refuse(err)
	}
	types, err := s.readTypes(ctx)
	if err != nil {
		return refuse(err)
	}
	present := len(st.ids) > 0 || slices.Contains(types, typ)
	rev, err := parseRevision(st.rev)
	if err != nil {
		return refuse(err)
	}
	if !met(op.If, present, rev.String) {
		return refuse(errUnmet(op, present))
	}
	if !present && op.Kind != poolkeeper.OpReplacePool {
		return refuse(poolkeeper.Errorf(poolkeeper.ErrNotFound, "there is no pool %q", typ))
	}
	switch op.Kind {
	case poolkeeper.OpReorderPool:
		return s.reorderPool(ctx, op, key, st)
	case poolkeeper.OpDeletePool:
		res, ok = s.swap(ctx, op, key, swapRequest{action: "delete", st: st})
		if ok && res.Err == nil {
			if err := s.removeType(ctx, typ); err != nil {
				return refuse(poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "the providers were deleted, but the empty pool is perhaps still listed: %v", err).
					WithHint("delete it again"))
			}
		}
		return res, ok
	}
	listed := slices.Contains(types, typ)
	if !listed {
		if err := s.ensureType(ctx, typ); err != nil {
			return refuse(err)
		}
	}
	res, ok = s.replacePool(ctx, op, key, st)
	if ok && res.Err == nil {
		res.Changed = res.Changed || !listed
	}
	return res, ok
}

func (s *Store) reorderPool(ctx context.Context, op *poolkeeper.Op, key string, st structure) (poolkeeper.Result, bool) {
	if err := permutes(op.Order, st.ids, "provider"); err != nil {
		return refuse(err)
	}
	if slices.Equal(op.Order, st.ids) {
		return poolkeeper.Result{Status: poolkeeper.Applied}, true
	}
	run := s.newRun()
	defer s.unstage(key, run)
	if err := s.stagePool(ctx, key, run, op.Order, nil); err != nil {
		return refuse(err)
	}
	return s.swap(ctx, op, key, swapRequest{action: "reorder", st: st, run: run, staged: len(op.Order)})
}

// replacePool stages the new pool under keys of its own, lays what keeps the
// runtime state over the old one, and swaps them.
func (s *Store) replacePool(ctx context.Context, op *poolkeeper.Op, key string, st structure) (poolkeeper.Result, bool) {
	ids := make([]string, len(op.Providers))
	defs := make(map[string][]byte, len(op.Providers))
	same := len(op.Providers) == len(st.ids)
	var carry, state, added []string
	for i := range op.Providers {
		p := &op.Providers[i]
		ids[i], defs[p.ID] = p.ID, p.Definition
		old, stays := st.defs[p.ID]
		same = same && st.ids[i] == p.ID && bytes.Equal(old, p.Definition)
		if !stays {
			added = append(added, p.ID)
		}
		switch {
		case p.State != nil:
			lits := pairs(p.State)
			state = append(append(state, p.ID, strconv.Itoa(len(lits)/2)), lits...)
		case stays && !bytes.Equal(old, p.Definition):
			lits := carried(old, p.Definition, nil)[1:]
			for j := 0; j < len(lits); j += 2 {
				carry = append(carry, p.ID+":"+lits[j], lits[j+1])
			}
		}
	}
	if same {
		if same, err := s.sameStates(ctx, key, op.Providers); err != nil {
			return refuse(err)
		} else if same {
			return poolkeeper.Result{Status: poolkeeper.Applied}, true
		}
	}
	taken, err := s.aliased(ctx, key, added)
	if err != nil {
		return refuse(err)
	}
	var removed []string
	for _, id := range st.ids {
		if _, ok := defs[id]; !ok {
			removed = append(removed, id)
		}
	}
	if st.sweep { // what lies about must not meet an id that comes back
		if err := s.sweepAll(ctx, key, st); err != nil {
			return refuse(err)
		}
	}
	run := s.newRun()
	defer s.unstage(key, run)
	if err := s.stagePool(ctx, key, run, ids, defs); err != nil {
		return refuse(err)
	}
	if fits, err := s.carry(ctx, key, st.rev, carry); err != nil {
		return refuse(err)
	} else if !fits {
		return poolkeeper.Result{}, false
	}
	res, ok := s.swap(ctx, op, key, swapRequest{action: "replace", st: st, run: run, staged: len(ids), removed: len(removed) > 0, taken: taken, state: state})
	if ok && res.Err == nil && len(removed) > 0 {
		s.sweepGone(ctx, key, res.Revision, removed)
	}
	return res, ok
}

// sameStates reports whether each state that is given is there already.
func (s *Store) sameStates(ctx context.Context, key string, records []poolkeeper.ProviderRecord) (bool, error) {
	for i := range records {
		p := &records[i]
		if p.State == nil {
			continue
		}
		lits, err := s.client.Do(ctx, s.client.B().Hmget().Key(s.state(key)).Field(stateFields(p.ID)...).Build()).ToArray()
		if err != nil {
			return false, readError(err)
		}
		if readState(lits) != *p.State {
			return false, nil
		}
	}
	return true, nil
}

// aliased returns which ids are old ids of providers.
func (s *Store) aliased(ctx context.Context, key string, ids []string) ([]string, error) {
	var old []string
	for part := range slices.Chunk(ids, chunk) {
		fields := make([]string, len(part))
		for i, id := range part {
			fields[i] = "a:" + id
		}
		got, err := s.client.Do(ctx, s.client.B().Hmget().Key(s.ctl(key)).Field(fields...).Build()).ToArray()
		if err != nil {
			return nil, readError(err)
		}
		for i, m := range got {
			if textOr(m, "") != "" {
				old = append(old, part[i])
			}
		}
	}
	return old, nil
}

// A swapRequest is what swap.lua is asked for.
type swapRequest struct {
	action  string
	st      structure
	run     string
	staged  int
	removed bool
	taken   []string // old ids that providers of the new pool have
	state   []string
}

func (s *Store) swap(ctx context.Context, op *poolkeeper.Op, key string, r swapRequest) (poolkeeper.Result, bool) {
	removed := "0"
	if r.removed {
		removed = "1"
	}
	l := s.lane(key)
	keys := append(l.poolKeys(), s.stage(key, r.run, "pool"), s.stage(key, r.run, "order"))
	args := append([]string{r.action, r.st.rev, strconv.Itoa(r.staged), removed, strconv.Itoa(len(r.taken))}, r.taken...)
	args = append(args, r.state...)
	c := l.submit(ctx, soloBatch, call{op: op, row: &request{script: swapScript, keys: keys, args: args}}, 0)
	if c.result.Err != nil || c.answer == "" {
		return c.result, true
	}
	c.result.Status, c.result.Changed = poolkeeper.Applied, true
	return c.result, c.answer == "ok"
}

func (s *Store) newRun() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return s.writer + "-" + hex.EncodeToString(b[:])
}

// stagePool writes an order, and definitions where given, under keys that
// nobody reads and that expire by themselves.
func (s *Store) stagePool(ctx context.Context, key, run string, ids []string, defs map[string][]byte) error {
	life := stageLife.Milliseconds()
	pool, order := s.stage(key, run, "pool"), s.stage(key, run, "order")
	var cmds rueidis.Commands
	flush := func() error {
		for _, r := range s.client.DoMulti(ctx, cmds...) {
			if err := r.Error(); err != nil {
				return readError(err)
			}
		}
		cmds = cmds[:0]
		return nil
	}
	for at := 0; at < len(ids); {
		end, size := at, 0
		h := s.client.B().Hset().Key(pool).FieldValue()
		z := s.client.B().Zadd().Key(order).ScoreMember()
		for ; end < len(ids) && end-at < chunk && size < maxBatchBytes; end++ {
			if defs != nil {
				h = h.FieldValue(ids[end], string(defs[ids[end]]))
			}
			z = z.ScoreMember(float64(end), ids[end])
			size += len(defs[ids[end]]) + len(ids[end])
		}
		if defs != nil {
			cmds = append(cmds, h.Build(), s.client.B().Pexpire().Key(pool).Milliseconds(life).Build())
		}
		cmds = append(cmds, z.Build(), s.client.B().Pexpire().Key(order).Milliseconds(life).Build())
		at = end
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

// unstage removes what is left of a stage; what it misses expires.
func (s *Store) unstage(key, run string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.CommandTimeout)
	defer cancel()
	s.client.Do(ctx, s.client.B().Unlink().Key(s.stage(key, run, "pool"), s.stage(key, run, "order")).Build())
}

// carry lays literals over a pool; false where its structure is another.
func (s *Store) carry(ctx context.Context, key, rev string, lits []string) (bool, error) {
	epoch, err := s.ready(ctx)
	if err != nil {
		return false, err
	}
	for part := range slices.Chunk(lits, 2*chunk) {
		answer, err := carryScript.run(ctx, s.client, []string{s.ctl(key), s.state(key)}, append([]string{epoch, rev}, part...))
		if err != nil {
			return false, readError(err)
		}
		if answer != "OK" {
			return false, nil
		}
	}
	return true, nil
}

// sweepGone removes the state of providers that a swap removed. What it does
// not get to is swept before the next replacement, and counts for nothing
// until then.
func (s *Store) sweepGone(ctx context.Context, key string, rev poolkeeper.Revision, ids []string) {
	ctx = context.WithoutCancel(ctx)
	text := strconv.FormatUint(rev.Number, 10) + " " + rev.Writer + " " + strconv.FormatUint(rev.Seq, 10)
	if err := s.sweep(ctx, key, text, ids); err != nil {
		s.opts.Logger.Warn("state of removed providers is left to be swept", "key", key, "error", err.Error())
	}
}

// sweepAll removes all state that belongs to no provider of the pool.
func (s *Store) sweepAll(ctx context.Context, key string, st structure) error {
	var cursor uint64
	gone := map[string]bool{}
	for {
		e, err := s.client.Do(ctx, s.client.B().Hscan().Key(s.state(key)).Cursor(cursor).Count(1000).Build()).AsScanEntry()
		if err != nil {
			return readError(err)
		}
		for i := 0; i+1 < len(e.Elements); i += 2 {
			name := e.Elements[i]
			id := name[:max(0, strings.LastIndexByte(name, ':'))]
			if _, ok := st.defs[id]; !ok {
				gone[id] = true
			}
		}
		if cursor = e.Cursor; cursor == 0 {
			break
		}
	}
	ids := make([]string, 0, len(gone))
	for id := range gone {
		ids = append(ids, id)
	}
	return s.sweep(ctx, key, st.rev, ids)
}

func (s *Store) sweep(ctx context.Context, key, rev string, ids []string) error {
	epoch, err := s.ready(ctx)
	if err != nil {
		return err
	}
	keys := []string{s.ctl(key), s.state(key), s.order(key)}
	for part := range slices.Chunk(ids, chunk) {
		if _, err := sweepScript.run(ctx, s.client, keys, append([]string{epoch, ""}, part...)); err != nil {
			return readError(err)
		}
	}
	_, err = sweepScript.run(ctx, s.client, keys, []string{epoch, rev})
	return readError(err)
}
