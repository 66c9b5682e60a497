package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages",
		Long: `Writes a manual page for each command into a directory, which is made where there
is none. Pages of the same name are replaced. They are what --help says, and are the
same for every machine.`,
		Example: `  poolkeeper man /usr/local/share/man/man1
  poolkeeper man ./man && man ./man/poolkeeper-import.1`,
		Args: need("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			pages, err := writeManual(cmd.Root(), args[0])
			if err != nil {
				return poolkeeper.Errorf(poolkeeper.ErrForbidden, "manual pages: %v", err).WithHint("name a directory that can be written")
			}
			if a.json {
				return a.printJSON(struct {
					Dir   string   `json:"dir"`
					Pages []string `json:"pages"`
				}{args[0], pages})
			}
			return a.printf("Wrote %s to %s\n", count(uint64(len(pages)), "page"), cell(args[0]))
		},
	}
}

// writeManual writes the page of a command and those of all commands below it, for
// all users of the machine to read.
func writeManual(cmd *cobra.Command, dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	name := pageName(cmd) + ".1"
	err := os.WriteFile(filepath.Join(dir, name), manual(cmd), 0o644)
	pages := []string{name}
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		more, e := writeManual(c, dir)
		pages, err = append(pages, more...), errors.Join(err, e)
	}
	slices.Sort(pages)
	return pages, err
}
