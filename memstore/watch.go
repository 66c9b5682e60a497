package memstore

import (
	"context"
	"slices"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/feed"
)

var _ poolkeeper.Watcher = (*Store)(nil)

// Watch implements poolkeeper.Watcher. An op hands its change to each watch, and
// waits for none.
func (s *Store) Watch(ctx context.Context, fn func(poolkeeper.Change)) error {
	queue, err := s.watch(ctx)
	if err != nil {
		return err
	}
	defer s.unwatch(queue)
	fn(poolkeeper.Change{Kind: poolkeeper.ChangeReady})
	return queue.Each(ctx, func(c poolkeeper.Change) error {
		fn(c)
		return nil
	})
}

func (s *Store) watch(ctx context.Context) (*feed.Queue[poolkeeper.Change], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.usable(); err != nil {
		return nil, err
	}
	queue := feed.New[poolkeeper.Change](feed.MaxItems, feed.MaxBytes)
	s.watchers = append(s.watchers, queue)
	return queue, nil
}

func (s *Store) unwatch(queue *feed.Queue[poolkeeper.Change]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.watchers, queue); i >= 0 {
		s.watchers = slices.Delete(s.watchers, i, i+1)
	}
}

// endWatches ends all of them, after what they have been told.
func (s *Store) endWatches() {
	for _, queue := range s.watchers {
		queue.End(s.usable())
	}
	s.watchers = nil
}

func (s *Store) watched() bool { return len(s.watchers) > 0 || s.told != nil }

// willPut says of the op under way that a provider has become what it is now.
func (s *Store) willPut(p *provider) {
	if s.watched() {
		s.change = poolkeeper.Change{Kind: poolkeeper.ChangePut, ID: p.id, Definition: p.definition,
			States: []poolkeeper.ProviderState{{ID: p.id, State: p.state, Whole: true}}}
	}
}

// stateChange is what of a provider's runtime state is not as it was.
func stateChange(p *provider, was *poolkeeper.State) poolkeeper.Change {
	written := poolkeeper.ProviderState{ID: p.id}
	for _, f := range poolkeeper.Fields() {
		lit, ok := p.state.Get(f)
		old, had := was.Get(f)
		if ok && (!had || lit != old) {
			written.State.Set(f, lit)
		}
		written.Whole = written.Whole || had && !ok
	}
	if p.state.DecidedAt != was.DecidedAt {
		written.State.DecidedAt = p.state.DecidedAt
	}
	if written.Whole {
		written.State = p.state
	}
	return poolkeeper.Change{Kind: poolkeeper.ChangeState, States: []poolkeeper.ProviderState{written}}
}

// tell hands a change of a key to all watches: of a pool what the op under way
// has said of it, and where it has not, that it is to be loaded.
func (s *Store) tell(key poolkeeper.Key, before, after poolkeeper.Revision) {
	c := poolkeeper.Change{Kind: poolkeeper.ChangeValue}
	switch key.Kind {
	case poolkeeper.KindTypes:
		c.Kind = poolkeeper.ChangeTypes
	case poolkeeper.KindPool:
		if c = s.change; c.Kind == "" {
			c.Kind = poolkeeper.ChangePool
		}
	}
	c.Key, c.Before, c.After = key, before, after
	if s.told != nil {
		s.told(c)
	}
	for _, queue := range s.watchers {
		queue.Put(c, 256+len(c.Definition)+256*len(c.States))
	}
}
