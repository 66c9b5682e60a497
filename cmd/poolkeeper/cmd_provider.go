package main

import (
	"context"

	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

const anID = "7b1c6d1e-0000-4000-8000-000000000001"

func (a *app) providerCommand() *cobra.Command {
	parent := group(&cobra.Command{
		Use:   "provider",
		Short: "Look at and edit the providers of the pools",
		Long: `The providers: the accounts and keys that a gateway sends its requests to. Each is
addressed by its type and its id, which is its uuid; "poolkeeper provider list"
shows both. The empty type is written ''.`,
	})
	parent.AddCommand(a.providerList(), a.providerGet(), a.providerAdd(), a.providerSet(),
		a.providerSwitch("enable", "false", "Let a provider be chosen again", "Takes the mark isDisabled away from a provider, so that it is chosen again."),
		a.providerSwitch("disable", "true", "Keep a provider from being chosen", "Marks a provider isDisabled, so that it is not chosen until it is enabled."),
		a.providerReset(), a.providerRename(), a.providerRemove())
	return parent
}

// onProvider is a command that changes one provider and prints the answer.
func (a *app) onProvider(cmd *cobra.Command, args []string, do func(context.Context, *poolkeeper.Store, poolkeeper.Ref) (poolkeeper.Result, error)) error {
	st, err := a.kept(cmd.Context())
	if err != nil {
		return err
	}
	defer st.Close()
	res, err := do(cmd.Context(), st, poolkeeper.Ref{Type: args[0], ID: args[1]})
	return a.printResult(res, err, nil)
}

func (a *app) providerAdd() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "add TYPE",
		Short: "Add a provider to a pool",
		Long: `Adds a provider at the end of a pool, which is made where there is none. Its
definition, a JSON object, is read from standard input or --file. Without a uuid
in it the provider gets a random one, which is printed.`,
		Example: `  poolkeeper provider add openai-custom < provider.json
  poolkeeper provider add openai-custom --file provider.json --json`,
		Args: need("TYPE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := a.read(file, poolkeeper.MaxDefinition)
			if err != nil {
				return err
			}
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			res, err := st.AddProvider(cmd.Context(), args[0], data)
			return a.printResult(res, err, nil)
		},
	}
	cmd.Flags().StringVar(&file, "file", "-", "read the definition from `FILE`; - is standard input")
	return cmd
}

func (a *app) providerSet() *cobra.Command {
	var merge, jsonPatch string
	cmd := &cobra.Command{
		Use:   "set TYPE ID [FIELD=VALUE...]",
		Short: "Change fields of a provider",
		Long: `Changes fields of the definition of a provider; everything else in it stays as it
is, byte for byte. What traffic changes (usageCount, isHealthy, errorCount, ...) is
changed by usage, error, success and provider reset, the uuid by provider rename.

` + assignHelp,
		Example: "  poolkeeper provider set openai-custom " + anID + " customName=Blue concurrencyLimit=4\n" +
			"  poolkeeper provider set openai-custom " + anID + " --merge - < changes.json",
		Args: needSome(-1, "TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.edit(args[2:], merge, jsonPatch)
			if err != nil {
				return err
			}
			return a.onProvider(cmd, args, func(ctx context.Context, st *poolkeeper.Store, r poolkeeper.Ref) (poolkeeper.Result, error) {
				return st.PatchProvider(ctx, r, p.kind, p.data, poolkeeper.Always)
			})
		},
	}
	patchFlags(cmd, &merge, &jsonPatch)
	return cmd
}

func (a *app) providerSwitch(use, value, short, long string) *cobra.Command {
	return &cobra.Command{
		Use:     use + " TYPE ID",
		Short:   short,
		Long:    long,
		Example: "  poolkeeper provider " + use + " openai-custom " + anID,
		Args:    need("TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onProvider(cmd, args, func(ctx context.Context, st *poolkeeper.Store, r poolkeeper.Ref) (poolkeeper.Result, error) {
				return st.PatchProvider(ctx, r, poolkeeper.MergePatch, []byte(`{"isDisabled":`+value+`}`), poolkeeper.Always)
			})
		},
	}
}

func (a *app) providerReset() *cobra.Command {
	var usage bool
	cmd := &cobra.Command{
		Use:   "reset TYPE ID",
		Short: "Make a provider healthy with no errors",
		Long: `Makes a provider healthy and clears its errors and its scheduled recovery. With
--usage its usageCount is 0 as well.`,
		Example: "  poolkeeper provider reset openai-custom " + anID + "\n  poolkeeper provider reset openai-custom " + anID + " --usage",
		Args:    need("TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onProvider(cmd, args, func(ctx context.Context, st *poolkeeper.Store, r poolkeeper.Ref) (poolkeeper.Result, error) {
				return st.Reset(ctx, r, usage)
			})
		},
	}
	cmd.Flags().BoolVar(&usage, "usage", false, "set usageCount to 0 too")
	return cmd
}

func (a *app) providerRename() *cobra.Command {
	return &cobra.Command{
		Use:   "rename TYPE ID NEWID",
		Short: "Give a provider a new id",
		Long: `Gives a provider a new id, and its definition that uuid. Its place, counters and
token stay with it, and for 30 days it is still found under the old id.`,
		Example: "  poolkeeper provider rename openai-custom " + anID + " 7b1c6d1e-0000-4000-8000-000000000002",
		Args:    need("TYPE", "ID", "NEWID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onProvider(cmd, args, func(ctx context.Context, st *poolkeeper.Store, r poolkeeper.Ref) (poolkeeper.Result, error) {
				return st.RenameProvider(ctx, r, args[2], poolkeeper.Always)
			})
		},
	}
}

func (a *app) providerRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm TYPE ID",
		Short:   "Remove a provider",
		Long:    "Removes a provider with its counters from its pool. Its token stays in the store.",
		Example: "  poolkeeper provider rm openai-custom " + anID,
		Args:    need("TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onProvider(cmd, args, func(ctx context.Context, st *poolkeeper.Store, r poolkeeper.Ref) (poolkeeper.Result, error) {
				return st.DeleteProvider(ctx, r, poolkeeper.Always)
			})
		},
	}
}
