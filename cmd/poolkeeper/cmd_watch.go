package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/spf13/cobra"
)

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [TYPE]",
		Short: "Print the changes to the store as they are made, by whatever instance",
		Long: `Prints a line for each change, until it is interrupted: of runtime state with the
fields that were written, of definitions, of pools as a whole, and of tokens,
documents and files by their names. With TYPE only what is of that provider type.
Secrets are masked.

The first line is "ready": what is done after it is printed. Where the connection is
lost the command goes on by itself, and prints "resync": something may have been
missed in between, and whoever keeps a copy reads it again.

A service that runs on this store is asked, and else Redis itself; whenever the
connection is lost, the command looks anew which of them there is. Where a service
is stopped, it goes on with Redis; where Redis does not answer, with a service
that has come meanwhile; and where there is neither it waits. A directory is
changed by the one process that has it: its watch begins with a service, and waits
for the next one. What is waited for, and what is watched then, is said on stderr.

With --json each line is an object: {"at", "event"}, event being ready, resync or
change, and of a change "kind", "key", "before", "after" and what was changed.`,
		Example: `  poolkeeper watch
  poolkeeper watch claude-kiro-oauth --json`,
		Args: needSome(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w := &watcher{app: a, all: true}
			if len(args) == 1 {
				w.all, w.typ = false, args[0]
			}
			return w.run(cmd.Context())
		},
	}
}

// watchable opens what tells of changes. A directory is changed by the one
// process that has it, which must be a service.
func (a *app) watchable(ctx context.Context) (*poolkeeper.Store, error) {
	set, err := a.settings()
	if err != nil {
		return nil, err
	}
	if set.Backend == settings.BackendFile && a.running(ctx, set) == nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "no service has %s that could tell of its changes", set.ConfigDir).
			WithHint("start it: poolkeeper serve; or name a Redis by --redis-url")
	}
	return a.kept(ctx)
}

// A watcher prints what a watch tells, and begins it anew.
type watcher struct {
	*app
	all    bool
	typ    string // of what is printed, unless all is
	begun  bool
	said   string // of why it is begun anew
	pause  time.Duration
	failed error // of printing
}

// Pauses before a watch is begun anew.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

func (w *watcher) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w.pause = firstPause
	for {
		err := w.once(ctx, stop)
		switch {
		case w.failed != nil:
			return w.failed
		case ctx.Err() != nil:
			return nil // it was told to stop
		case !w.begun || !errors.Is(err, poolkeeper.ErrUnavailable):
			return err
		}
		if text := err.Error(); text != w.said {
			w.said = text
			w.note("poolkeeper: %s; watching again", text)
		}
		select {
		case <-time.After(w.pause):
		case <-ctx.Done():
			return nil
		}
		w.pause = min(2*w.pause, lastPause)
		w.forget()
	}
}

// once opens the store by the way that there is now, and watches it until that ends.
func (w *watcher) once(ctx context.Context, stop func()) error {
	st, err := w.watchable(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	return st.Watch(ctx, func(c poolkeeper.Change) {
		w.pause = firstPause
		if c.Kind == poolkeeper.ChangeReady && w.begun {
			w.said = ""
			w.note("poolkeeper: watching %s", w.way())
		}
		if w.failed = w.print(c); w.failed != nil {
			stop()
		}
	})
}

// way names what is watched.
func (w *watcher) way() string {
	if in := w.found; in != nil && in.Used {
		return fmt.Sprintf("through the service, process %d", in.PID)
	}
	return "the store itself"
}

func (w *watcher) print(c poolkeeper.Change) error {
	event := "change"
	switch {
	case c.Kind != poolkeeper.ChangeReady:
		if !w.all && (c.Key.Type != w.typ || c.Key.Kind != poolkeeper.KindPool && c.Key.Kind != poolkeeper.KindToken) {
			return nil
		}
	case w.begun:
		event = "resync"
	default:
		event, w.begun = "ready", true
	}
	if w.json {
		return w.app.print(append(eventLine(event, time.Now(), c), '\n'))
	}
	at := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	switch event {
	case "ready":
		return w.printf("%s  ready\n", at)
	case "resync":
		return w.printf("%s  resync  something may have been missed: read again what is kept\n", at)
	}
	for _, text := range changeTexts(c) {
		if err := w.printf("%s  %-6s  %s\n", at, c.Kind, text); err != nil {
			return err
		}
	}
	return nil
}
