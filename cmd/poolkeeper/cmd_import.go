package main

import (
	"fmt"

	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/transfer"
	"github.com/spf13/cobra"
)

func (a *app) importCommand() *cobra.Command {
	var opts transfer.ImportOptions
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Bring a configs/ directory into the store",
		Long: `Brings a directory of the gateway into the store: configuration, pools, tokens,
password, sessions and all other files, each to the byte. An empty store becomes
what the directory is, with the last step. In another one nothing is removed, and
without --force counters do not go back and newer tokens stay; what is kept is
listed. At the end the store is compared with the directory. A second import of
the same directory makes 0 changes, and one that was cut off is simply run again.

Stop the gateway first, or its next save is not in the store.`,
		Example: `  poolkeeper import --config-dir ./configs --dry-run
  poolkeeper import --config-dir ./configs --redis-url redis://localhost:6379`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := a.settings()
			if err != nil {
				return err
			}
			// What is wrong with the directory comes before what is wrong with
			// the settings in it, and before any connection.
			if _, _, err := configdir.ReadDir(cmd.Context(), set.ConfigDir, nil); err != nil {
				return err
			}
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			if isTerminal(a.errOut) {
				opts.Progress = func(done, total int) {
					end := ""
					if done == total {
						end = "\n"
					}
					fmt.Fprintf(a.errOut, "\r%d of %d%s", done, total, end)
				}
			}
			result, err := transfer.Import(cmd.Context(), st, set.ConfigDir, &opts)
			if result == nil || err != nil {
				return err
			}
			return a.printImport(result)
		},
	}
	cmd.Flags().BoolVar(&opts.DryRun, "dry-run", false, "show what would be done, and do nothing")
	cmd.Flags().BoolVar(&opts.Force, "force", false, "let counters go back, and tokens be replaced by those of the directory")
	return cmd
}

func (a *app) printImport(r *transfer.ImportResult) error {
	a.warn(r.Report)
	for _, list := range []struct {
		what    string
		changes []transfer.Change
	}{{"add", r.Added}, {"change", r.Changed}, {"keep", r.Kept}} {
		for _, c := range list.changes {
			a.note("%s: %s", list.what, c)
		}
	}
	if a.json {
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
