package redisstore

import (
	"context"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// types reads the types in their order. Those that only the set has, which
// foreign writers keep, come after the others.
func (s *Store) readTypes(ctx context.Context) ([]string, error) {
	list, err := s.client.Do(ctx, s.client.B().Lrange().Key(s.typeOrder()).Start(0).Stop(-1).Build()).AsStrSlice()
	if err != nil {
		return nil, readError(err)
	}
	if len(list) == 0 {
		if back, err := s.wasBack(ctx, s.typeOrder()); err != nil {
			return nil, err
		} else if back {
			return s.readTypes(ctx)
		}
	}
	set, err := s.client.Do(ctx, s.client.B().Smembers().Key(s.types()).Build()).AsStrSlice()
	if err != nil {
		return nil, readError(err)
	}
	slices.Sort(set)
	for _, t := range set {
		if !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list, nil
}

// changeTypes submits one change of the list of types.
func (s *Store) changeTypes(ctx context.Context, op *poolkeeper.Op, action string, types ...string) (poolkeeper.Result, string) {
	key := s.typeOrder()
	c := s.lane(key).submitRequest(ctx, soloBatch, op, 0,
		&request{script: typesScript, keys: []string{key}, args: append([]string{action}, types...)}, 0)
	return c.result, c.text
}

// ensureType lists a type. It comes before the change that creates the pool:
// cut off between them, there is an empty pool, and nothing is hidden.
func (s *Store) ensureType(ctx context.Context, typ string) error {
	for {
		if res, _ := s.changeTypes(ctx, nil, "ensure", typ); res.Err != nil {
			return res.Err
		}
		added, err := s.client.Do(ctx, s.client.B().Sadd().Key(s.types()).Member(typ).Build()).AsInt64()
		if err != nil {
			return readError(err)
		}
		if added == 0 {
			return nil
		}
		// Somebody may have taken it off the list meanwhile: what only the set has,
		// nobody was told of.
	}
}

func (s *Store) removeType(ctx context.Context, typ string) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.client.Do(ctx, s.client.B().Srem().Key(s.types()).Member(typ).Build()).Error(); err != nil {
		return half(readError(err))
	}
	if res, _ := s.changeTypes(ctx, nil, "remove", typ); res.Err != nil {
		return half(res.Err)
	}
	// Somebody may have added a provider meanwhile: it must not be hidden.
	n, err := s.client.Do(ctx, s.client.B().Exists().Key(s.pool(typ)).Build()).AsInt64()
	if err != nil {
		return half(readError(err))
	}
	if n == 0 {
		return nil
	}
	return half(s.ensureType(ctx, typ))
}

// half is the error of an op that removed a pool, and did not get to take its
// type off the list: it cannot say any more that nothing was applied.
func half(err error) error {
	if !isOutage(err) {
		return err
	}
	return poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "the pool was removed, its type is perhaps still listed: %v", err)
}

func (s *Store) reorderTypes(ctx context.Context, op *poolkeeper.Op) (res poolkeeper.Result, ok bool) {
	types, err := s.readTypes(ctx)
	if err != nil {
		return refuse(err)
	}
	if err := permutes(op.Order, types, "type"); err != nil {
		return refuse(err)
	}
	// Types that only the set has are listed first.
	if res, _ := s.changeTypes(ctx, op, "ensure", types...); res.Err != nil {
		return res, true
	}
	res, answer := s.changeTypes(ctx, op, "reorder", op.Order...)
	if res.Err != nil {
		return res, true
	}
	res.Status, res.Changed = poolkeeper.Applied, answer == "1"
	return res, answer != "~"
}

// permutes checks that an order names each of what there is once. Validate has
// made sure that nothing stands twice.
func permutes(order, have []string, what string) error {
	there := make(map[string]bool, len(have))
	for _, h := range have {
		there[h] = true
	}
	for _, o := range order {
		if !there[o] {
			return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the order names the %s %q, which is not there", what, o)
		}
		delete(there, o)
	}
	for h := range there {
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the order leaves out the %s %q", what, h)
	}
	return nil
}
