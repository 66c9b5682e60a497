package redisstore

import (
	"bytes"
	"context"
	"slices"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
)

// changePool tries an op on a whole pool once. ok is false where its structure
// changed between reading and writing. who has asked the others to wait, if any.
func (s *Store) changePool(ctx context.Context, op *poolkeeper.Op, who string) (res poolkeeper.Result, ok bool) {
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
		return s.reorderPool(ctx, op, key, st, who)
	case poolkeeper.OpDeletePool:
		res, ok = s.swap(ctx, op, key, swapRequest{action: "delete", st: st, who: who})
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
	res, ok = s.replacePool(ctx, op, key, st, who)
	if ok && res.Err == nil {
		res.Changed = res.Changed || !listed
		if len(st.ids) == 0 {
			// Somebody who deleted the pool meanwhile may have taken it off the list.
			if err := s.ensureType(context.WithoutCancel(ctx), typ); err != nil {
				return refuse(poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "the pool was replaced, but its type is perhaps not listed: %v", err).
					WithHint("replace it again"))
			}
		}
	}
	return res, ok
}

func (s *Store) reorderPool(ctx context.Context, op *poolkeeper.Op, key string, st structure, who string) (poolkeeper.Result, bool) {
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
	return s.swap(ctx, op, key, swapRequest{action: "reorder", st: st, who: who, run: run, staged: len(op.Order)})
}

// replacePool stages the new pool under keys of its own, lays what keeps the
// runtime state over the old one, and swaps them.
func (s *Store) replacePool(ctx context.Context, op *poolkeeper.Op, key string, st structure, who string) (poolkeeper.Result, bool) {
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
	res, ok := s.swap(ctx, op, key, swapRequest{action: "replace", st: st, who: who, run: run, staged: len(ids), removed: len(removed) > 0, taken: taken, state: state})
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
	who     string // asked the others to wait; empty where nobody did
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
	args := append([]string{r.action, r.st.rev, strconv.Itoa(r.staged), removed, r.who, strconv.Itoa(len(r.taken))}, r.taken...)
	args = append(args, r.state...)
	c := l.submitRequest(ctx, soloBatch, op, 0, &request{script: swapScript, keys: keys, args: args}, 0)
	if c.result.Err != nil || c.text == "" {
		return c.result, true
	}
	if c.text == "held" {
		return poolkeeper.Result{Err: errHeld}, false
	}
	c.result.Status, c.result.Changed = poolkeeper.Applied, true
	return c.result, c.text == "ok"
}
