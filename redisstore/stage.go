package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/redis/rueidis"
)

// chunk is how many providers travel in one command where many do.
const chunk = 500

// stageLife is how long a stage may lie before it is taken.
const stageLife = time.Hour

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
