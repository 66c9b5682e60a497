package redisstore

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

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
