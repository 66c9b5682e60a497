package main

import (
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

// need accepts exactly the arguments named. Its errors do not repeat an
// argument, which may be a secret that was given in the wrong place.
func need(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return badArgs(cmd, "%s is missing", strings.Join(names[len(args):], " "))
		case len(args) > len(names):
			return badArgs(cmd, "too many arguments: %d where %d are expected", len(args), len(names))
		}
		return nil
	}
}

// needSome accepts the arguments named, and after them up to most others.
func needSome(most int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return badArgs(cmd, "%s is missing", strings.Join(names[len(args):], " "))
		case most >= 0 && len(args) > len(names)+most:
			return badArgs(cmd, "too many arguments: %d where at most %d are expected", len(args), len(names)+most)
		}
		return nil
	}
}

func badArgs(cmd *cobra.Command, format string, args ...any) error {
	err := poolkeeper.Errorf(poolkeeper.ErrInvalid, format, args...).WithHint("see %s --help", cmd.CommandPath())
	if cmd.HasParent() {
		err.Detail = strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ") + ": " + err.Detail
	}
	return err
}

// exemplify gives commands that only have commands below them the first example of
// each of these.
func exemplify(cmd *cobra.Command) {
	var firsts []string
	for _, c := range cmd.Commands() {
		exemplify(c)
		first, _, _ := strings.Cut(c.Example, "\n")
		firsts = append(firsts, first)
	}
	if cmd.Example == "" {
		cmd.Example = strings.Join(firsts, "\n")
	}
}

// group makes a command one that only has commands below it.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := "see " + cmd.CommandPath() + " --help"
		if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
			hint = "did you mean " + strings.Join(like, " or ") + "?"
		}
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "unknown command %q for %s", redactText(args[0]), cmd.CommandPath()).WithHint("%s", hint)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.HasParent() {
			return cmd.Help()
		}
		return badArgs(cmd, "a command is missing")
	}
	cmd.SetFlagErrorFunc(flagError)
	return cmd
}
