package redisstore

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// maxAliases bounds how far a chain of renames is followed.
const maxAliases = 10_000

// definition reads the definition of a provider, following aliases where
// asked; nil where there is none. id is the one that it has now.
func (s *Store) definition(ctx context.Context, typ, id string, follow bool) (now string, def []byte, err error) {
	key := s.pool(typ)
	for range maxAliases {
		rs := s.client.DoMulti(ctx,
			s.client.B().Hget().Key(key).Field(id).Build(),
			s.client.B().Hget().Key(s.ctl(key)).Field("a:"+id).Build())
		text, err := rs[0].ToString()
		if err == nil {
			return id, []byte(text), nil
		}
		if !isNil(err) {
			return id, nil, readError(err)
		}
		alias, err := rs[1].ToString()
		if err != nil && !isNil(err) {
			return id, nil, readError(err)
		}
		next, ok := s.alias(alias)
		if !ok || !follow {
			return id, nil, nil
		}
		id = next
	}
	return id, nil, nil
}

// alias reads "<expiry> <id>" as the ctl of a pool has it.
func (s *Store) alias(text string) (id string, ok bool) {
	till, id, ok := strings.Cut(text, " ")
	n, err := strconv.ParseInt(till, 10, 64)
	return id, ok && err == nil && n > s.opts.Now().UnixMilli()
}

// changeProvider tries an op on one definition once. ok is false where it
// changed between reading and writing.
func (s *Store) changeProvider(ctx context.Context, op *poolkeeper.Op) (res poolkeeper.Result, ok bool) {
	typ := op.Key.Type
	put := op.Kind == poolkeeper.OpAddProvider || op.Kind == poolkeeper.OpPutProvider
	id, old, err := s.definition(ctx, typ, op.ID, !put)
	if err != nil {
		return refuse(err)
	}
	unchanged := poolkeeper.Result{Status: poolkeeper.Applied, ID: id}
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
		if next, err = op.PatchedValue(old); err != nil {
			return refuse(err)
		}
	case poolkeeper.OpDeleteProvider:
		action, next = "delete", nil
	case poolkeeper.OpRenameProvider:
		action, newID = "rename", op.NewID
		if taken, _, err := s.exists(ctx, typ, newID); err != nil {
			return refuse(err)
		} else if taken {
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
	expect := "absent"
	if old != nil {
		expect = contentSHA(old)
	}
	args := []string{action, id, newID, expect, string(next)}
	args = append(args, carried(old, next, op.State)...)
	key := s.pool(typ)
	c := s.lane(key).submit(ctx, soloBatch, call{op: op, row: &request{script: providerScript, keys: s.lane(key).poolKeys(), args: args}}, len(next))
	if c.result.Err != nil || c.answer == "" {
		return c.result, true
	}
	if c.answer == "~" {
		return res, false
	}
	c.result.Status, c.result.ID, c.result.Changed = poolkeeper.Applied, id, c.answer == "ok"
	if newID != "" {
		c.result.ID = newID
	}
	if old == nil {
		if err := s.ensureType(ctx, typ); err != nil {
			return refuse(poolkeeper.Annotate(err, "list the type of", op.Subject()))
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

func (s *Store) exists(ctx context.Context, typ, id string) (bool, []byte, error) {
	_, def, err := s.definition(ctx, typ, id, false)
	return def != nil, def, err
}
