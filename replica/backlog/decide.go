package backlog

import (
	"context"
	"errors"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.AsideKeeper = (*Backlog)(nil)

// Pending implements poolkeeper.AsideKeeper.
func (b *Backlog) Pending(ctx context.Context) (*poolkeeper.Pending, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return pending(&Inspected{State: b.State(), Aside: b.Aside(), Dropped: b.Dropped(), Lost: b.Lost()}, b.Durable()), nil
}

// Pending is the same of what was inspected.
func (in *Inspected) Pending() *poolkeeper.Pending { return pending(in, true) }

func pending(in *Inspected, durable bool) *poolkeeper.Pending {
	s := &in.State
	p := &poolkeeper.Pending{
		Queue:   poolkeeper.QueueInfo{Ops: s.Ops, Frozen: s.Frozen, Aside: s.Aside, Bytes: s.Bytes, Dropped: s.Dropped, Durable: durable},
		Aside:   make([]poolkeeper.AsideOp, 0, len(in.Aside)),
		Dropped: in.Dropped,
		Lost:    in.Lost,
	}
	for i := range in.Aside {
		a := &in.Aside[i]
		p.Aside = append(p.Aside, poolkeeper.AsideOp{Entry: a.Entry, Kind: a.Op.Kind, Of: a.Op.Subject(), Reason: a.Reason, Text: a.Err.Error(), At: a.At})
	}
	return p
}

// RetryAside implements poolkeeper.AsideKeeper: each op gets a new number.
func (b *Backlog) RetryAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return b.decide(ctx, pick, b.retry)
}

// DiscardAside implements poolkeeper.AsideKeeper.
func (b *Backlog) DiscardAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return b.decide(ctx, pick, b.discard)
}

// decide does one thing to the ops that are picked, with one write.
func (b *Backlog) decide(ctx context.Context, pick poolkeeper.Pick, do func(context.Context, []Aside) error) (poolkeeper.Decided, error) {
	var done poolkeeper.Decided
	if err := pick.Validate(); err != nil {
		return done, err
	}
	b.gate.Lock() // so that nobody else decides on the same
	defer b.gate.Unlock()
	picked, err := b.picked(pick)
	if err == nil && len(picked) > 0 {
		err = do(ctx, picked)
	}
	if err != nil {
		return done, err
	}
	return poolkeeper.Decided{Changed: len(picked), Aside: b.State().Aside}, nil
}

// picked finds what a Pick names, in the order in which it was queued.
func (b *Backlog) picked(pick poolkeeper.Pick) ([]Aside, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, &poolkeeper.Error{Err: poolkeeper.ErrClosed}
	}
	numbers := sortedKeys(b.aside)
	if !pick.All {
		numbers = slices.Compact(slices.Sorted(slices.Values(pick.Entries)))
	}
	picked := make([]Aside, 0, len(numbers))
	for _, n := range numbers {
		a := b.aside[n]
		if a == nil {
			return nil, poolkeeper.Errorf(poolkeeper.ErrNotFound, "no op with the number %d is set aside", n).
				WithHint("list them: poolkeeper journal list")
		}
		picked = append(picked, *a)
	}
	return picked, nil
}

func (b *Backlog) retry(ctx context.Context, picked []Aside) error {
	records := make([][]byte, len(picked))
	entries := make([]*entry, len(picked))
	for i, a := range picked {
		data, err := poolkeeper.EncodeOp(&a.Op)
		if err != nil {
			return err
		}
		w := record(retryRecord)
		w.number(a.Entry)
		records[i] = append(w, data...)
		entries[i] = &entry{QueuedOp: poolkeeper.QueuedOp{Op: a.Op}, bytes: a.bytes}
	}
	err := b.write(ctx, func(first uint64) {
		for i, e := range entries {
			b.asideGone(picked[i].Entry)
			e.Entry = first + uint64(i)
			e.seq = e.Entry
			b.enter(e)
			b.queued(e.QueuedOp, false)
		}
	}, records...)
	if errors.Is(err, poolkeeper.ErrTooLarge) {
		err = poolkeeper.Errorf(poolkeeper.ErrTooLarge, "these are more ops than can be queued again at once").WithHint("name some of them at a time")
	}
	return err
}

func (b *Backlog) discard(ctx context.Context, picked []Aside) error {
	w := record(discardRecord)
	w.number(uint64(b.now()), uint64(len(picked)))
	for _, a := range picked {
		w.number(a.Entry)
	}
	return b.write(ctx, func(uint64) {
		for _, a := range picked {
			b.asideGone(a.Entry)
		}
	}, w)
}
