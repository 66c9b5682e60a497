package redisstore

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A reading is one provider at one moment.
type reading struct {
	rev, structure poolkeeper.Revision
	otherThere     bool // the other id that was asked for
	poolThere      bool // any provider of the pool
	id             string
	def            []byte // nil where there is no such provider
	state          poolkeeper.State
}

// read reads a provider, following aliases. A pool that Redis has lost is put back first.
func (s *Store) read(ctx context.Context, typ, id, other string, state bool) (r reading, err error) {
	for range maxReads {
		if r, err = s.readOnce(ctx, typ, id, other, state); err != nil || r.poolThere {
			break
		}
		if back, err := s.wasBack(ctx, s.pool(typ)); err != nil || !back {
			return r, err
		}
	}
	return r, err
}

func (s *Store) readOnce(ctx context.Context, typ, id, other string, state bool) (r reading, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	key := s.pool(typ)
	args := []string{id, strconv.FormatInt(s.opts.Now().UnixMilli(), 10), other}
	if state {
		args = append(args, stateNames...)
	}
	parts, err := readScript.do(ctx, s.client, []string{s.ctl(key), s.state(key), key}, args).ToArray()
	if err != nil {
		return r, readError(err)
	}
	if r.rev, err = parseRevision(textOr(parts[0], "")); err != nil {
		return r, err
	}
	if r.structure, err = parseRevision(textOr(parts[1], "")); err != nil {
		return r, err
	}
	for i, there := range []*bool{&r.otherThere, &r.poolThere} {
		n, err := parts[2+i].AsInt64()
		if err != nil {
			return r, readError(err)
		}
		*there = n != 0
	}
	r.id = id
	if len(parts) < 6 {
		return r, nil
	}
	r.id, r.def = textOr(parts[4], ""), []byte(textOr(parts[5], ""))
	if state && len(parts) > 6 {
		lits, err := parts[6].ToArray()
		if err != nil {
			return r, readError(err)
		}
		r.state = readState(lits)
	}
	return r, nil
}

// changeProvider tries an op on one definition once. ok is false where it
// changed between reading and writing.
func (s *Store) changeProvider(ctx context.Context, op *poolkeeper.Op, entry uint64) (res poolkeeper.Result, ok bool) {
	typ := op.Key.Type
	put := op.Kind == poolkeeper.OpAddProvider || op.Kind == poolkeeper.OpPutProvider
	r, err := s.read(ctx, typ, op.ID, op.NewID, false)
	if err != nil {
		return refuse(err)
	}
	id, old := r.id, r.def
	if put && id != op.ID { // what is put has an id of its own
		id, old = op.ID, nil
	}
	unchanged := poolkeeper.Result{Status: poolkeeper.Applied, ID: id, Revision: r.rev}
	if op.Kind == poolkeeper.OpRenameProvider && old != nil && id == op.NewID {
		return unchanged, true
	}
	if op.Kind == poolkeeper.OpAddProvider && old != nil {
		return refuse(poolkeeper.Errorf(poolkeeper.ErrExists, "provider %s already exists", op.Ref()))
	}
	if !met(op.If, old != nil, func() string { return poolkeeper.ETag(old) }) {
		return refuse(errUnmet(op, old != nil))
	}
	if old == nil && !put {
		return refuse(notFound(op.Ref()))
	}

	action, next, newID := "put", op.Data, ""
	switch op.Kind {
	case poolkeeper.OpPatchProvider:
		if next, err = op.PatchedValue(ctx, old); err != nil {
			return refuse(err)
		}
	case poolkeeper.OpDeleteProvider:
		action, next = "delete", nil
	case poolkeeper.OpRenameProvider:
		action, newID = "rename", op.NewID
		if r.otherThere {
			return refuse(poolkeeper.Errorf(poolkeeper.ErrExists, "provider %s already exists", poolkeeper.Ref{Type: typ, ID: newID}))
		}
		if next, err = rawjson.Set(old, "uuid", rawjson.Quote(newID)); err != nil {
			return refuse(poolkeeper.Errorf(poolkeeper.ErrDamaged, "the stored definition cannot be read: %v", err))
		}
		if err := poolkeeper.ValidateDefinition(next); err != nil {
			return refuse(err)
		}
	}
	if action == "put" && old != nil && op.State == nil && bytes.Equal(old, next) {
		return unchanged, true
	}
	if !r.poolThere {
		err := s.ensureType(ctx, typ)
		if s.opts.Spool != nil && errors.Is(err, poolkeeper.ErrIndeterminate) {
			err = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the type cannot be listed: %v", err) // the op itself was not sent
		}
		if err != nil {
			return refuse(err)
		}
	}
	expect := "absent"
	if old != nil {
		expect = contentSHA(old)
	}
	from := ""
	if id != op.ID {
		from = op.ID
	}
	args := []string{action, id, newID, expect, from, string(next)}
	args = append(args, carried(old, next, op.State)...)
	key := s.pool(typ)
	c := s.lane(key).submitRequest(ctx, soloBatch, op, entry, &request{script: providerScript, keys: s.lane(key).poolKeys(), args: args}, len(next))
	if c.result.Err != nil || c.text == "" {
		return c.result, true
	}
	switch c.text {
	case "~":
		return res, false
	case "held":
		return poolkeeper.Result{Err: errHeld}, false
	}
	c.result.Status, c.result.ID, c.result.Changed = poolkeeper.Applied, id, c.text != "same"
	if newID != "" {
		c.result.ID = newID
	}
	if c.text == "new" {
		// Somebody who deleted the pool meanwhile may have taken it off the list.
		if err := s.ensureType(context.WithoutCancel(ctx), typ); err != nil {
			return refuse(poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "the provider was added, but its type is perhaps not listed: %v", err))
		}
	}
	return c.result, true
}

// carried is what of the runtime state is written with a definition: what
// keeps the effective one as it is, or the one that the op gives.
func carried(old, next []byte, state *poolkeeper.State) []string {
	mode := "carry"
	var lay poolkeeper.State
	switch {
	case state != nil:
		mode, lay = "set", *state
	case old != nil && next != nil:
		was, is := poolkeeper.LiteralsOf(old), poolkeeper.LiteralsOf(next)
		lay = lay.Carry(&was, &is)
	}
	return append([]string{mode}, pairs(&lay)...)
}

// pairs lists the fields of a state as a script takes them.
func pairs(state *poolkeeper.State) []string {
	var out []string
	for _, f := range poolkeeper.Fields() {
		if lit, ok := state.Get(f); ok {
			out = append(out, f.String(), lit)
		}
	}
	if state.DecidedAt != 0 {
		out = append(out, "decidedAt", strconv.FormatInt(state.DecidedAt, 10))
	}
	return out
}
