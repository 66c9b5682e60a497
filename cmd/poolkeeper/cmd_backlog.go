package main

import (
	"strconv"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
	"github.com/spf13/cobra"
)

// A backlogListing is what list prints of a journal of ops that wait.
type backlogListing struct {
	Problem string            `json:"problem,omitempty"` // why it cannot be read
	Waiting int               `json:"waiting"`           // ops
	Frozen  int               `json:"frozen"`            // requests on their way
	Aside   []asideListing    `json:"aside"`
	Dropped []backlog.Dropped `json:"dropped"`
}

type asideListing struct {
	Entry  uint64            `json:"entry"`
	Kind   poolkeeper.OpKind `json:"kind"`
	Of     string            `json:"of"`
	Reason string            `json:"reason"`
	Text   string            `json:"text"`
	At     int64             `json:"at"`
}

// addBacklog adds what waits, where the journal is of that.
func (a *app) addBacklog(l *journalListing) error {
	set, err := a.settings()
	if err != nil || set.Backend == settings.BackendFile && len(l.Segments) == 0 || l.Damaged {
		return err
	}
	in, err := backlog.Inspect(l.Dir)
	if err != nil {
		if set.Backend == settings.BackendRedis {
			l.Backlog = &backlogListing{Problem: err.Error(), Aside: []asideListing{}, Dropped: []backlog.Dropped{}}
		}
		return nil // the journal of a directory has other records
	}
	l.Backlog = &backlogListing{Waiting: in.State.Ops, Frozen: in.State.Frozen, Aside: []asideListing{}, Dropped: listed(in.Dropped)}
	for _, s := range in.Aside {
		l.Backlog.Aside = append(l.Backlog.Aside, asideListing{s.Entry, s.Op.Kind, s.Op.Subject(), s.Reason, s.Err.Error(), s.At})
	}
	return nil
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
	return a.printf("%s waiting for the store, %s on the way, %d set aside\n",
		count(uint64(l.Waiting), "op"), count(uint64(l.Frozen), "request"), len(l.Aside))
}

func (a *app) journalRetry() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "retry NUMBER…",
		Short: "Queue ops that are set aside again",
		Long: `Queues ops that are set aside again, behind all others of their key: the service
brings them to the store when it runs. list has their numbers, and why each could
not be applied. One that was set aside as "lost" or "indeterminate" may have been
applied before: --json shows it as the reason.

Refused while a process has the journal: stop the service first (exit code 3).`,
		Example: `  poolkeeper journal list
  poolkeeper journal retry 17 21
  poolkeeper journal retry --all`,
		Args: someOrAll(&all),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onAside(args, all, "Queued again", func(b *backlog.Backlog, n uint64) error {
				_, err := b.Retry(n)
				return err
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all that are set aside")
	return c
}

func (a *app) journalDiscard() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "discard NUMBER…",
		Short: "Give up ops that are set aside",
		Long: `Gives up ops that are set aside, for good: they were acknowledged, and will not be
applied. list has their numbers, and why each could not be applied.

Refused while a process has the journal: stop the service first (exit code 3).`,
		Example: `  poolkeeper journal list
  poolkeeper journal discard 17
  poolkeeper journal discard --all`,
		Args: someOrAll(&all),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onAside(args, all, "Given up", (*backlog.Backlog).Discard)
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

// onAside does something to ops that are set aside: to all that are named, or to
// none where one of them is not there.
func (a *app) onAside(args []string, all bool, done string, do func(*backlog.Backlog, uint64) error) error {
	dir, err := a.journalDir()
	if err != nil {
		return err
	}
	// What is no backlog is not made one.
	if _, err := backlog.Inspect(dir); err != nil {
		return err
	}
	b, err := backlog.Open(dir, nil)
	if err != nil {
		return err
	}
	defer b.Close()
	var numbers []uint64
	there := map[uint64]bool{}
	for _, s := range b.Aside() {
		there[s.Entry] = true
		if all {
			numbers = append(numbers, s.Entry)
		}
	}
	for _, s := range args {
		n, _ := strconv.ParseUint(s, 10, 64) // it was checked
		if !there[n] {
			return poolkeeper.Errorf(poolkeeper.ErrNotFound, "no op with the number %d is set aside", n).
				WithHint("list them: poolkeeper journal list")
		}
		numbers = append(numbers, n)
	}
	changed := 0
	for _, n := range numbers {
		if there[n] { // not twice, where it is named twice
			delete(there, n)
			if err := do(b, n); err != nil {
				return err
			}
			changed++
		}
	}
	if a.json {
		return a.printJSON(struct {
			Changed int `json:"changed"`
			Aside   int `json:"aside"`
		}{changed, len(b.Aside())})
	}
	return a.printf("%s: %s. %d left aside.\n", done, count(uint64(changed), "op"), len(b.Aside()))
}
