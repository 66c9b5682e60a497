package backlog

import (
	"context"
	"sync"

	"github.com/poolkeeper/poolkeeper"
)

// memory is the log of a backlog without a disk.
type memory struct {
	mu   sync.Mutex
	last uint64
}

func (m *memory) Append(ctx context.Context, commit func(uint64), records ...[]byte) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	first := m.last + 1
	m.last += uint64(len(records))
	if commit != nil {
		commit(first)
	}
	return first, nil
}

// gone says what ends with a backlog in memory: how much of it there is, and not what.
func (b *Backlog) gone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.entries)+len(b.aside) == 0 {
		return
	}
	pools := 0
	for key := range b.lanes {
		if key.Kind == poolkeeper.KindPool {
			pools++
		}
	}
	args := []any{"ops", len(b.entries), "keys", len(b.lanes), "pools", pools}
	if len(b.aside) > 0 {
		args = append(args, "aside", len(b.aside))
	}
	b.opts.Logger.Warn("acknowledged ops are lost: the store does not have them, and the journal was in memory", append(args,
		"hint", "keep the journal in a state directory that stays: POOLKEEPER_JOURNAL=disk, POOLKEEPER_STATE_DIR=DIR")...)
}
