package redisstore

import (
	"context"
	"slices"

	"github.com/redis/rueidis"
)

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
