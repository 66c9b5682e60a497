package main

import (
	"context"
	"fmt"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
)

// kept opens the store that outlives the command. Memory does not: what would
// be written there, or compared with it, means nothing.
func (a *app) kept(ctx context.Context) (*poolkeeper.Store, error) {
	set, err := a.settings()
	if err != nil {
		return nil, err
	}
	if err := a.needRedis(set); err != nil {
		return nil, err
	}
	return open.Store(ctx, set, &open.Options{Logger: a.logger(set)})
}

// needRedis refuses settings by which nothing is kept.
func (a *app) needRedis(set *settings.Settings) error {
	if err := set.Check(); err != nil {
		return err
	}
	if set.Backend == settings.BackendMemory {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "no Redis is configured, and memory keeps nothing beyond this command").
			WithHint("give --redis-url, or set REDIS_URL or REDIS_HOST")
	}
	return nil
}

// readable opens the store for reading. Without Redis that is the directory,
// read into memory.
func (a *app) readable(ctx context.Context) (*poolkeeper.Store, error) {
	set, err := a.settings()
	if err != nil {
		return nil, err
	}
	if err := set.Check(); err != nil {
		return nil, err
	}
	if set.Backend != settings.BackendMemory {
		return a.kept(ctx)
	}
	fmt.Fprintf(a.errOut, "poolkeeper: no Redis is configured: this is what is in %s\n", set.ConfigDir)
	return a.loaded(ctx, set)
}

// loaded opens a store in memory with what is in the directory.
func (a *app) loaded(ctx context.Context, set *settings.Settings) (*poolkeeper.Store, error) {
	snap, report, err := configdir.ReadDir(ctx, set.ConfigDir, nil)
	if err != nil {
		return nil, err
	}
	a.warn(report)
	st, err := open.Store(ctx, set, &open.Options{Logger: a.logger(set)})
	if err != nil {
		return nil, err
	}
	if err := st.Restore(ctx, snap); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}
