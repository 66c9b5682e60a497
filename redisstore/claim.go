package redisstore

import (
	"context"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.Claimer = (*Store)(nil)

// Claim implements poolkeeper.Claimer.
func (s *Store) Claim(ctx context.Context, c poolkeeper.Claim) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.writable(ctx); err != nil {
		return err
	}
	oldest := uint64(1)
	if len(c.Known) > 0 {
		oldest = c.Known[0].Generation
	}
	args := []string{*s.epoch.Load(), c.Journal, strconv.FormatUint(c.Mark.Generation, 10), c.Mark.Nonce, strconv.FormatUint(oldest, 10)}
	for _, m := range c.Known {
		args = append(args, m.Nonce)
	}
	answer, err := s.execute(ctx, claimScript, []string{s.meta(), s.journals()}, args)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return classify(err).err
	case answer == "TAKEN":
		return errClaimed
	case answer == "EPOCH":
		return errEpoch
	}
	return nil
}

var errClaimed = poolkeeper.Errorf(poolkeeper.ErrConflict, "a copy of the journal has been brought to this store")
