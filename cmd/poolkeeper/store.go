package main

import (
	"context"
	"errors"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
)

// kept opens the store that outlives the command. Memory does not, unless it is
// that of a service: what would be written there, or compared with it, means
// nothing.
func (a *app) kept(ctx context.Context) (*poolkeeper.Store, error) {
	set, err := a.settings()
	if err != nil {
		return nil, err
	}
	if err := a.lasting(ctx, set); err != nil {
		return nil, err
	}
	return a.open(ctx, set)
}

// open opens the store of the settings: through the instance that has it where one
// runs, else itself.
func (a *app) open(ctx context.Context, set *settings.Settings) (*poolkeeper.Store, error) {
	if in := a.running(ctx, set); in != nil {
		return poolkeeper.New(in.client, nil), nil
	}
	st, err := open.Store(ctx, set, &open.Options{Logger: a.logger(set)})
	var e *poolkeeper.Error
	if a.direct && set.Backend == settings.BackendFile && errors.Is(err, poolkeeper.ErrUnavailable) && errors.As(err, &e) {
		return nil, e.WithHint("leave --direct out: the command then goes through the service; or stop that one")
	}
	return st, err
}

// flush waits until the files of a directory have what its store has. A store that
// is empty has nothing to wait for.
func flush(ctx context.Context, st *poolkeeper.Store) error {
	f, ok := st.Backend().(poolkeeper.Flusher)
	if !ok {
		return nil
	}
	if err := f.Flush(ctx); !errors.Is(err, poolkeeper.ErrUninitialized) {
		return err
	}
	return nil
}

// lasting refuses settings by which nothing is kept.
func (a *app) lasting(ctx context.Context, set *settings.Settings) error {
	if err := set.Check(); err != nil {
		return err
	}
	if set.Backend == settings.BackendMemory && a.running(ctx, set) == nil {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "memory keeps nothing beyond this command").
			WithHint("leave --backend memory out: the store is then Redis where one is configured, else the directory")
	}
	return nil
}

// readable opens the store for reading. A directory that was never opened, that
// another process has, or that cannot be written, is read as its files are.
func (a *app) readable(ctx context.Context) (*poolkeeper.Store, error) {
	set, err := a.settings()
	if err != nil {
		return nil, err
	}
	if err := set.Check(); err != nil {
		return nil, err
	}
	switch {
	case a.running(ctx, set) != nil:
		return a.open(ctx, set)
	case set.Backend == settings.BackendFile && !open.Begun(set):
		return a.loaded(ctx, set)
	case set.Backend != settings.BackendMemory:
		st, err := a.kept(ctx)
		if set.Backend != settings.BackendFile || !errors.Is(err, poolkeeper.ErrUnavailable) && !errors.Is(err, poolkeeper.ErrForbidden) {
			return st, err
		}
		a.note("poolkeeper: %v", err)
	}
	a.note("poolkeeper: this is what is in the files of %s", set.ConfigDir)
	return a.loaded(ctx, set)
}

// loaded opens a store in memory with what is in the directory.
func (a *app) loaded(ctx context.Context, set *settings.Settings) (*poolkeeper.Store, error) {
	snap, report, err := configdir.ReadDir(ctx, set.ConfigDir, nil)
	if err != nil {
		return nil, err
	}
	a.warn(report)
	inMemory := *set
	inMemory.Backend = settings.BackendMemory
	st, err := open.Store(ctx, &inMemory, &open.Options{Logger: a.logger(set)})
	if err != nil {
		return nil, err
	}
	if err := st.Restore(ctx, snap); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}
