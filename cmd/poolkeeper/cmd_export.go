package main

import (
	"bufio"
	"fmt"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/spf13/cobra"
)

func (a *app) exportCommand() *cobra.Command {
	var dir string
	var opts configdir.WriteOptions
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the store into a configs/ directory",
		Long: `Writes the store into a directory on which the gateway can be started: the
configuration, the pools with their counters, tokens, password, live sessions and
all other files, each to the byte, readable for the owner only. Token files that
providers name beside the directory are written there too.

A token that only has a path outside of the parent of DIR (an absolute one, or
through "..") is written there with --allow-external. Without, it gets a file in
DIR, which its provider then names; each is listed.

The directory must not exist or be empty; with --force its files are replaced,
each whole, and what the store does not have stays, and is listed. --dry-run lists
every file: write where it is new, replace where it is there.`,
		Example: `  poolkeeper export --output-dir ./backup/configs
  poolkeeper export --output-dir ./configs --force --dry-run`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			frugal()
			if dir == "" {
				return badArgs(cmd, "--output-dir is missing")
			}
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			snap, err := st.Snapshot(cmd.Context())
			if err != nil {
				return poolkeeper.Annotate(err, "export", "")
			}
			opts.Progress = a.progress()
			report, err := configdir.WriteDir(cmd.Context(), dir, snap, &opts)
			if err != nil {
				return err
			}
			a.warn(report)
			a.printFiles(report, opts.DryRun)
			if a.json {
				return a.printJSON(struct {
					*configdir.Report
					DryRun bool `json:"dryRun"`
				}{report, opts.DryRun})
			}
			done := "Exported"
			if opts.DryRun {
				done = "Would export"
			}
			return a.printf("%s %d providers, %d tokens, config to %s\n", done, report.Providers, report.TokenFiles, dir)
		},
	}
	cmd.Flags().StringVar(&dir, "output-dir", "", "write into `DIR`; by custom it is called configs")
	cmd.Flags().BoolVar(&opts.Force, "force", false, "replace files of a directory that is not empty")
	cmd.Flags().BoolVar(&opts.DryRun, "dry-run", false, "check everything and write nothing")
	cmd.Flags().BoolVar(&opts.AllowExternal, "allow-external", false, "write tokens outside of the parent of DIR, where only such a path names them")
	return cmd
}

// printFiles lists the files of an export: those that it would write, and those
// that stay beside them.
func (a *app) printFiles(r *configdir.Report, dryRun bool) {
	lines := bufio.NewWriter(a.errOut)
	defer lines.Flush()
	if dryRun {
		for _, p := range r.Written {
			fmt.Fprintf(lines, "write: %s\n", cell(p))
		}
		for _, p := range r.Replaced {
			fmt.Fprintf(lines, "replace: %s\n", cell(p))
		}
	}
	for _, p := range r.Left {
		fmt.Fprintf(lines, "stays, and is not in the store: %s\n", cell(p))
	}
}
