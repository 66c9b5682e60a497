package redisstore

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.ImportMarker = (*Store)(nil)

// MarkImport implements poolkeeper.ImportMarker. It leaves the store as it is
// when it is run a second time, so that a lost answer is no matter.
func (s *Store) MarkImport(ctx context.Context, run string, unfinished bool) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.writable(ctx); err != nil {
		return err
	}
	on := "0"
	if unfinished {
		on = "1"
	}
	for n := 0; ; n++ {
		answer, err := markScript.run(ctx, s.client, []string{s.meta()}, []string{*s.epoch.Load(), run, on})
		switch {
		case err == nil && answer == "OK":
			return nil
		case err == nil:
			return errEpoch
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if err := readError(err); n == maxReads || !isOutage(err) {
			return err
		}
	}
}
