package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
	"github.com/spf13/cobra"
)

// A backlogListing is what list prints of a journal of ops that wait.
type backlogListing struct {
	Problem string                  `json:"problem,omitempty"` // why it cannot be read
	Waiting int                     `json:"waiting"`           // ops
	Frozen  int                     `json:"frozen"`            // requests on their way
	Aside   []poolkeeper.AsideOp    `json:"aside"`
	Dropped []poolkeeper.DroppedOps `json:"dropped"`
	Lost    []poolkeeper.Loss       `json:"lost"`
}

// addBacklog adds what waits, where the journal is of that: as the running instance
// says that has it, else as the files do.
func (a *app) addBacklog(ctx context.Context, l *journalListing) error {
	set, err := a.settings()
	if err != nil {
		return err
	}
	if in := a.queues(ctx, set); in != nil {
		p, err := in.client.Pending(ctx)
		if err != nil {
			return err
		}
		l.inMemory = !p.Queue.Durable
		l.Backlog = listingOf(p)
		return nil
	}
	if set.Backend == settings.BackendFile && len(l.Segments) == 0 || l.Damaged {
		return nil
	}
	in, err := backlog.Inspect(l.Dir)
	switch {
	case err == nil:
		l.Backlog = listingOf(in.Pending())
	case set.Backend == settings.BackendRedis: // the journal of a directory has other records
		l.Backlog = listingOf(&poolkeeper.Pending{})
		l.Backlog.Problem = err.Error()
	}
	return nil
}

// queues is the running instance that serves the store of the settings and queues
// for it, or nil.
func (a *app) queues(ctx context.Context, set *settings.Settings) *instance {
	if set.Backend != settings.BackendRedis {
		return nil
	}
	return a.running(ctx, set)
}

func listingOf(p *poolkeeper.Pending) *backlogListing {
	return &backlogListing{Waiting: p.Queue.Ops, Frozen: p.Queue.Frozen, Aside: listed(p.Aside), Dropped: listed(p.Dropped), Lost: listed(p.Lost)}
}

func (a *app) printBacklog(l *backlogListing) error {
	switch {
	case l == nil:
		return nil
	case l.Problem != "":
		return a.printf("What waits cannot be told: %s\n", l.Problem)
	}
	if len(l.Aside) > 0 {
		rows := [][]string{{"SET ASIDE", "OP", "OF", "SINCE", "WHY"}}
		for _, s := range l.Aside {
			rows = append(rows, []string{strconv.FormatUint(s.Entry, 10), string(s.Kind), cell(s.Of), time.UnixMilli(s.At).UTC().Format(time.RFC3339), cell(s.Text)})
		}
		if err := a.table(rows); err != nil {
			return err
		}
	}
	if len(l.Dropped) > 0 {
		rows := [][]string{{"GIVEN UP", "OP", "OF", "USES"}}
		for _, d := range l.Dropped {
			rows = append(rows, []string{strconv.FormatInt(d.Ops, 10), string(d.Kind), cell(poolkeeper.Ref{Type: d.Key.Type, ID: d.ID}.String()), strconv.FormatInt(d.N, 10)})
		}
		if err := a.table(rows); err != nil {
			return err
		}
	}
	if len(l.Lost) > 0 {
		rows := [][]string{{"LOST BY THE STORE", "OF", "USES", "SINCE", "WHY"}}
		for _, lost := range l.Lost {
			ops := strconv.FormatInt(lost.Ops, 10)
			if lost.AtMost {
				ops = "at most " + ops
			}
			rows = append(rows, []string{ops, cell(lost.Key.String()), strconv.FormatInt(lost.N, 10), time.UnixMilli(lost.First).UTC().Format(time.RFC3339), cell(lost.Reason)})
		}
		if err := a.table(rows); err != nil {
			return err
		}
	}
	return a.printf("%s waiting for the store, %s on the way, %d set aside\n",
		count(uint64(l.Waiting), "op"), count(uint64(l.Frozen), "request"), len(l.Aside))
}

func (a *app) journalRetry() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "retry NUMBER...",
		Short: "Queue ops that are set aside again",
		Long: `Queues ops that are set aside again, behind all others of their key. list has their
numbers, and why each could not be applied: mend that first. All that are named are
queued, or none, where one of them is not set aside (exit code 1).

Where a service runs that has the journal, it brings them to the store at once; else
it does when it is started. One that was set aside as "lost" or "indeterminate" may
have been applied before: --json shows it as the reason.`,
		Example: `  poolkeeper journal list
  poolkeeper journal retry 17 21
  poolkeeper journal retry --all`,
		Args: someOrAll(&all),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onAside(cmd.Context(), args, all, "Queued again", poolkeeper.AsideKeeper.RetryAside)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all that are set aside")
	return c
}

func (a *app) journalDiscard() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "discard NUMBER...",
		Short: "Give up ops that are set aside",
		Long: `Gives up ops that are set aside, for good: they were acknowledged, and will not be
applied. list has their numbers, and why each could not be applied. All that are
named are given up, or none, where one of them is not set aside (exit code 1).

Where a service runs that has the journal, it is done through that.`,
		Example: `  poolkeeper journal list
  poolkeeper journal discard 17
  poolkeeper journal discard --all`,
		Args: someOrAll(&all),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onAside(cmd.Context(), args, all, "Given up", poolkeeper.AsideKeeper.DiscardAside)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all that are set aside")
	return c
}

// someOrAll takes numbers, or none with --all.
func someOrAll(all *bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case *all && len(args) > 0:
			return badArgs(cmd, "numbers and --all are two ways to say which")
		case !*all && len(args) == 0:
			return badArgs(cmd, "NUMBER is missing")
		}
		for _, s := range args {
			if _, err := strconv.ParseUint(s, 10, 64); err != nil {
				return badArgs(cmd, "%q is no number of an op", s)
			}
		}
		return nil
	}
}

// onAside decides on ops that are set aside: on all that are named, or on none where
// one of them is not there.
func (a *app) onAside(ctx context.Context, args []string, all bool, said string, do func(poolkeeper.AsideKeeper, context.Context, poolkeeper.Pick) (poolkeeper.Decided, error)) error {
	keeper, end, err := a.asideKeeper(ctx)
	if err != nil {
		return err
	}
	defer end()
	pick := poolkeeper.Pick{All: all}
	for _, s := range args {
		n, _ := strconv.ParseUint(s, 10, 64) // it was checked
		pick.Entries = append(pick.Entries, n)
	}
	done, err := do(keeper, ctx, pick)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(done)
	}
	return a.printf("%s: %s. %d left aside.\n", said, count(uint64(done.Changed), "op"), done.Aside)
}

// asideKeeper is the running instance that has the journal, else the journal itself,
// which end closes.
func (a *app) asideKeeper(ctx context.Context) (keeper poolkeeper.AsideKeeper, end func() error, err error) {
	dir, err := a.journalDir()
	if err != nil {
		return nil, nil, err
	}
	if in := a.running(ctx, a.set); in != nil {
		return in.client, func() error { return nil }, nil
	}
	// What is no backlog is not made one.
	if _, err := backlog.Inspect(dir); err != nil {
		return nil, nil, err
	}
	b, err := backlog.Open(dir, nil)
	var e *poolkeeper.Error
	if a.direct && errors.Is(err, poolkeeper.ErrUnavailable) && errors.As(err, &e) {
		err = e.WithHint("leave --direct out: the command then goes through the service; or stop that one")
	}
	if err != nil {
		return nil, nil, err
	}
	return b, b.Close, nil
}
