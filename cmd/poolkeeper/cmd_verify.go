package main

import (
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/transfer"
	"github.com/spf13/cobra"
)

func (a *app) verifyCommand() *cobra.Command {
	var opts transfer.VerifyOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare the store with a configs/ directory",
		Long: `Compares the store with a directory by content: whether an export would give the
same files. Of provider_pools.json white space does not count, of everything else
every byte does. Exit code 1 and a list where they differ; the list names places
and no content.

What was imported with --allow-external is compared with it too.

In a store that is in use the counters move on: --content-only leaves the runtime
state of the providers out.`,
		Example: `  poolkeeper verify --config-dir ./configs
  poolkeeper verify --config-dir ./configs --content-only --json`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			frugal()
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			// What a service has just answered may not be in its files yet.
			if err := flush(cmd.Context(), st); err != nil {
				return err
			}
			c, err := transfer.Verify(cmd.Context(), st, a.set.ConfigDir, &opts)
			if c == nil {
				return err
			}
			if e := a.printComparison(c); e != nil {
				return e
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&opts.ContentOnly, "content-only", false, "leave the runtime state of providers out")
	cmd.Flags().BoolVar(&opts.AllowExternal, "allow-external", false, "read token files that providers name outside of the parent of the directory")
	return cmd
}

func (a *app) printComparison(c *configdir.Comparison) error {
	if a.json {
		c.Differences = listed(c.Differences)
		return a.printJSON(struct {
			Equal bool `json:"equal"`
			*configdir.Comparison
		}{c.Equal(), c})
	}
	for _, d := range c.Differences {
		if err := a.printf("%s\n", d); err != nil {
			return err
		}
	}
	if !c.Equal() {
		return nil
	}
	return a.printf("Equal: %d providers in %d types, %d tokens, %d other files, %d sessions\n", c.Providers, c.Types, c.Tokens, c.Files, c.Sessions)
}
