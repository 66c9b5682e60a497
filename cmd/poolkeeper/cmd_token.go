package main

import (
	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

func (a *app) tokenCommand() *cobra.Command {
	parent := group(&cobra.Command{
		Use:   "token",
		Short: "Look at and replace the tokens of providers",
		Long: `The OAuth tokens of providers. Providers whose definitions name the same token file
share one token: a change is seen by all of them.`,
	})
	parent.AddCommand(a.tokenGet(), a.tokenSet(), a.tokenRemove())
	return parent
}

func (a *app) tokenGet() *cobra.Command {
	var reveal bool
	cmd := &cobra.Command{
		Use:   "get TYPE ID",
		Short: "Print the token of a provider",
		Long: `Prints the token of a provider with its values masked but for its expiry; with
--reveal the bytes are printed as they are stored.`,
		Example: `  poolkeeper token get claude-kiro-oauth 7b1c6d1e-0000-4000-8000-000000000001
  poolkeeper token get claude-kiro-oauth 7b1c6d1e-0000-4000-8000-000000000001 --reveal > token.json`,
		Args: need("TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := a.readable(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			ref := poolkeeper.Ref{Type: args[0], ID: args[1]}
			t, err := st.Token(cmd.Context(), ref)
			if err != nil {
				return err
			}
			if t.Owner != ref {
				a.note("poolkeeper: the token is stored under %s", t.Owner)
			}
			return a.printDocument("the token of "+ref.String(), t.Data, reveal, maskToken)
		},
	}
	revealFlag(cmd, &reveal)
	return cmd
}

func (a *app) tokenSet() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "set TYPE ID",
		Short: "Replace the token of a provider, or give it one",
		Long: `Replaces the token of a provider by a JSON object from standard input or --file,
or gives it one. All providers that share the token see the new one.`,
		Example: `  poolkeeper token set claude-kiro-oauth 7b1c6d1e-0000-4000-8000-000000000001 < token.json
  poolkeeper token set claude-kiro-oauth 7b1c6d1e-0000-4000-8000-000000000001 --file token.json`,
		Args: need("TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := a.read(file, poolkeeper.MaxDocument)
			if err != nil {
				return err
			}
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			res, err := st.PutToken(cmd.Context(), poolkeeper.Ref{Type: args[0], ID: args[1]}, data, poolkeeper.Always)
			return a.printResult(res, err, nil)
		},
	}
	cmd.Flags().StringVar(&file, "file", "-", "read the token from `FILE`; - is standard input")
	return cmd
}

func (a *app) tokenRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm TYPE ID",
		Short:   "Remove the token of a provider",
		Long:    "Removes the token of a provider, for all providers that share it.",
		Example: `  poolkeeper token rm claude-kiro-oauth 7b1c6d1e-0000-4000-8000-000000000001`,
		Args:    need("TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			res, err := st.DeleteToken(cmd.Context(), poolkeeper.Ref{Type: args[0], ID: args[1]}, poolkeeper.Always)
			return a.printResult(res, err, nil)
		},
	}
}
