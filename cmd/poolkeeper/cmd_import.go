package main

import (
	"bufio"
	"fmt"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/transfer"
	"github.com/spf13/cobra"
)

func (a *app) importCommand() *cobra.Command {
	var opts transfer.ImportOptions
	var from redisFlags
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Bring a configs/ directory, or another Redis, into the store",
		Long: `Brings a directory of the gateway into the store: configuration, pools, tokens,
password, sessions and all other files, each to the byte. An empty store becomes
what the directory is, with the last step. In another one nothing is removed unless
--mirror is given, and without --force counters do not go back and newer tokens
stay.

First it lists what it is going to do, each thing on a line: add, change, remove,
and keep for what differs and stays. That is what is then done; --dry-run ends
there. At the end the store is compared with the directory. A second import of the
same directory makes 0 changes. One that was cut off shows in "poolkeeper status",
and is simply run again.

With --mirror the store has nothing that the directory does not have: providers,
pools, tokens, documents, files, sessions, configuration and password that are only
in the store are removed. With --force as well, verify then finds no difference.

Token files outside of the parent of the directory, which providers name by absolute
paths or through "..", are read with --allow-external only, and else named in a
warning. Links that leave that parent are not followed.

With --from-redis it is a Redis that is read in place of a directory: a store of
Poolkeeper's, or one in the layout of a fork of the gateway. What had to be put
right there, and what was left, is listed; that Redis is not written to. With
--in-place the store is converted where it lies: until the last step all keys
stay as the fork knows them, and after it what is left over of them is removed.

Stop the gateway first, or its next save is not in the store.`,
		Example: `  poolkeeper import --config-dir ./configs --dry-run
  poolkeeper import --config-dir ./configs --redis-url redis://localhost:6379
  poolkeeper import --config-dir ./configs --mirror --force --dry-run
  poolkeeper import --from-redis redis://old:6379 --redis-url redis://localhost:6379
  poolkeeper import --from-redis redis://localhost:6379 --in-place --dry-run`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			frugal()
			opts.Plan, opts.Progress = a.printPlan, a.progress()
			var result *transfer.ImportResult
			var err error
			if from.given(cmd) {
				result, err = a.importRedis(cmd, &from, &opts)
			} else {
				result, err = a.importDirectory(cmd, &opts)
			}
			if result == nil || err != nil {
				return err
			}
			return a.printImport(result)
		},
	}
	cmd.Flags().BoolVar(&opts.DryRun, "dry-run", false, "show what would be done, and do nothing")
	cmd.Flags().BoolVar(&opts.Mirror, "mirror", false, "remove from the store what the directory does not have")
	cmd.Flags().BoolVar(&opts.Force, "force", false, "let counters go back, and tokens be replaced by those of the directory")
	cmd.Flags().BoolVar(&opts.AllowExternal, "allow-external", false, "read token files that providers name outside of the parent of the directory")
	from.add(cmd)
	return cmd
}

func (a *app) importDirectory(cmd *cobra.Command, opts *transfer.ImportOptions) (*transfer.ImportResult, error) {
	set, err := a.settings()
	if err != nil {
		return nil, err
	}
	if set.Backend == settings.BackendFile && opts.AllowExternal {
		return nil, poolkeeper.Errorf(poolkeeper.ErrForbidden, "the directory is the store, which reads and writes nothing outside of its parent").
			WithHint("leave --allow-external out, and let the providers name files inside; or import into Redis")
	}
	// What is wrong with the directory comes before what is wrong with
	// the settings in it, and before any connection.
	dir, err := transfer.ReadDirectory(cmd.Context(), set.ConfigDir, opts)
	if err != nil {
		return nil, err
	}
	st, err := a.kept(cmd.Context())
	if err != nil {
		return nil, err
	}
	defer st.Close()
	if set.Backend == settings.BackendFile {
		// The directory is the store, and so has what that has.
		a.note("poolkeeper: the directory is itself the store, so there is nothing to bring anywhere")
		a.note("hint: --redis-url or REDIS_URL names the Redis that it is to go to")
		if err := flush(cmd.Context(), st); err != nil {
			return nil, err
		}
		if dir, err = transfer.ReadDirectory(cmd.Context(), set.ConfigDir, opts); err != nil {
			return nil, err
		}
	}
	return dir.Import(cmd.Context(), st)
}

// printPlan lists what an import is going to do, before it does it.
func (a *app) printPlan(r *transfer.ImportResult) error {
	a.warn(r.Report)
	lines := bufio.NewWriter(a.errOut)
	for _, list := range []struct {
		what    string
		changes []transfer.Change
	}{{"add", r.Added}, {"change", r.Changed}, {"remove", r.Removed}, {"keep", r.Kept}} {
		for _, c := range list.changes {
			fmt.Fprintf(lines, "%s: %s\n", list.what, c)
		}
	}
	// A reader who has gone away does not stop an import.
	_ = lines.Flush()
	return nil
}

func (a *app) printImport(r *transfer.ImportResult) error {
	if a.json {
		for _, list := range []*[]transfer.Change{&r.Added, &r.Changed, &r.Removed, &r.Kept} {
			*list = listed(*list)
		}
		return a.printJSON(struct {
			*transfer.ImportResult
			Changes int `json:"changes"`
		}{r, r.Changes()})
	}
	summary := r.String()
	if r.DryRun {
		summary = "Dry run, nothing was done. It would be: " + summary
	}
	unit := "changes"
	if r.Changes() == 1 {
		unit = "change"
	}
	return a.printf("%s\n%d %s\n", summary, r.Changes(), unit)
}
