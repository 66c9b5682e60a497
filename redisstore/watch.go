package redisstore

import (
	"context"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/feed"
	"github.com/redis/rueidis"
)

var _ poolkeeper.Watcher = (*Store)(nil)

// Watch implements poolkeeper.Watcher.
func (s *Store) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	if err := s.enter(); err != nil {
		return err
	}
	s.leave() // Close ends a watch, but does not wait for its reader
	if err := ctx.Err(); err != nil {
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	for n := 0; ; n++ {
		ready, err := s.watch(inner, fn)
		if isOutage(err) {
			s.suspect()
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case s.life.Err() != nil:
			return &poolkeeper.Error{Err: poolkeeper.ErrClosed}
		case ready || n == maxReads || !isOutage(err):
			return err
		}
	}
}

// watch tries it once. ready says that fn was called.
func (s *Store) watch(ctx context.Context, fn func(poolkeeper.Change)) (ready bool, err error) {
	epoch, err := s.ready(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watch{Store: s, epoch: epoch, queue: feed.New[string](feed.MaxItems, feed.MaxBytes), pools: map[string]bool{}, last: newLatest()}
	defer w.close()
	if err := w.begin(ctx); err != nil {
		return false, err
	}
	// What the channel is named after must be the store's by now.
	if err := s.still(ctx, epoch); err != nil {
		return false, err
	}
	go w.beat(ctx)
	fn(poolkeeper.Change{Kind: poolkeeper.ChangeReady})
	return true, w.queue.Each(ctx, func(text string) error { return w.tell(ctx, text, fn) })
}

// A watch is one run of Watch.
type watch struct {
	*Store
	epoch string
	queue *feed.Queue[string]
	subs  []*subscription
	// addresses are of the primaries that are heard, in a cluster.
	addresses []string
	pools     map[string]bool // those whose shard channels are subscribed to
	last      *latest
}

func (w *watch) close() {
	for _, sub := range w.subs {
		sub.close()
	}
}

// begin subscribes to everything.
func (w *watch) begin(ctx context.Context) error {
	nodes := map[string]rueidis.Client{"": w.client}
	if w.cluster {
		var err error
		if nodes, err = w.primaries(ctx); err != nil {
			return err
		}
	}
	common := w.commonChannel(w.epoch)
	for address, c := range nodes {
		sub, err := subscribe(ctx, c, w.queue)
		if err != nil {
			return err
		}
		w.subs, w.addresses = append(w.subs, sub), append(w.addresses, address)
		limit, cancel := context.WithTimeout(ctx, w.opts.CommandTimeout)
		err = sub.conn.Do(limit, sub.conn.B().Subscribe().Channel(common).Build()).Error()
		cancel()
		if err != nil {
			return readError(err)
		}
	}
	if !w.sharded {
		return nil
	}
	_, err := w.follow(ctx)
	return err
}

// tell calls fn with what a publication means.
func (w *watch) tell(ctx context.Context, text string, fn func(poolkeeper.Change)) error {
	p, err := w.parsePublication(text)
	if err != nil {
		return err
	}
	changes, err := w.changes(p)
	if err != nil || len(changes) == 0 {
		return err
	}
	if w.cluster && !w.last.later(p.key, changes[0].After.Number) {
		return nil // another node has told it already
	}
	if w.sharded && p.key == w.typeOrder() {
		// What was published of a new pool before this is to be loaded.
		fresh, err := w.follow(ctx)
		if err != nil {
			return err
		}
		for _, typ := range fresh {
			fn(poolkeeper.Change{Kind: poolkeeper.ChangePool, Key: poolkeeper.PoolKey(typ)})
		}
	}
	for _, c := range changes {
		fn(c)
	}
	return nil
}

// beat makes sure, again and again, that what is heard is what the store does:
// that the connections live, and lead to where this instance writes, and that
// the store is the one that it was.
func (w *watch) beat(ctx context.Context) {
	tick := time.NewTicker(w.opts.CommandTimeout)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := w.check(ctx); err != nil {
			if ctx.Err() == nil {
				w.queue.End(err)
			}
			return
		}
	}
}

func (w *watch) check(ctx context.Context) error {
	for _, sub := range w.subs {
		limit, cancel := context.WithTimeout(ctx, w.opts.CommandTimeout)
		text, err := sub.alive(ctx, limit)
		cancel()
		if err != nil {
			return err
		}
		if w.cluster {
			continue
		}
		// After a failover the former primary may go on answering.
		now, err := w.client.Do(ctx, w.client.B().Info().Section("server").Build()).ToString()
		if err == nil && runID(text) != "" && runID(now) != runID(text) {
			return errElsewhere
		}
	}
	if w.cluster {
		if err := w.sameNodes(ctx); err != nil {
			return err
		}
	}
	if err := w.still(ctx, w.epoch); err != nil && !isOutage(err) {
		return err
	}
	return nil
}

var errElsewhere = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "another server has become the primary")

// runID is that of the server that said this of itself; empty where it is not
// told.
func runID(info string) string {
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(line, "run_id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}
