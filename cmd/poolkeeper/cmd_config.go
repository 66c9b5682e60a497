package main

import (
	"errors"

	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	parent := group(&cobra.Command{
		Use:   "config",
		Short: "Look at and edit the service configuration",
		Long:  "The service configuration: what the gateway's config.json holds.",
	})
	parent.AddCommand(a.configGet(), a.configSet())
	return parent
}

func (a *app) configGet() *cobra.Command {
	var reveal bool
	cmd := &cobra.Command{
		Use:   "get [FIELD]",
		Short: "Print the configuration, or one field of it",
		Long: `Prints the configuration, or the JSON value of one field. Secrets are masked; with
--reveal the bytes are printed as they are stored.`,
		Example: `  poolkeeper config get
  poolkeeper config get MAX_ERROR_COUNT
  poolkeeper config get REQUIRED_API_KEY --reveal`,
		Args: needSome(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := a.readable(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			d, err := st.Config(cmd.Context())
			var e *poolkeeper.Error
			if errors.Is(err, poolkeeper.ErrNotFound) && errors.As(err, &e) {
				return e.WithHint("the store has no configuration; write one: poolkeeper config set --file FILE")
			}
			if err != nil {
				return err
			}
			return a.printPart("config", d.Data, args, reveal)
		},
	}
	revealFlag(cmd, &reveal)
	return cmd
}

func revealFlag(cmd *cobra.Command, reveal *bool) {
	cmd.Flags().BoolVar(reveal, "reveal", false, "print secrets too")
}

// printPart prints a document, or the one field that args names.
func (a *app) printPart(what string, doc []byte, args []string, reveal bool) error {
	if len(args) == 0 {
		return a.printDocument(what, doc, reveal, mask)
	}
	v, err := field(what, doc, args[0])
	if err != nil {
		return err
	}
	if reveal {
		return a.printf("%s\n", v)
	}
	return a.printf("%s\n", masker{}.value(nil, v, args[0], isSecret(args[0], v)))
}

func (a *app) configSet() *cobra.Command {
	var file, merge, jsonPatch string
	cmd := &cobra.Command{
		Use:   "set [FIELD=VALUE...]",
		Short: "Change fields of the configuration, or replace it",
		Long: `Changes fields of the configuration; everything else in it stays as it is, byte
for byte. With --file it is replaced as a whole.

` + assignHelp,
		Example: `  poolkeeper config set MAX_ERROR_COUNT=5 HOST=127.0.0.1
  poolkeeper config set --merge - < changes.json
  poolkeeper config set --file config.json`,
		Args: needSome(-1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if file != "" && (len(args) > 0 || merge != "" || jsonPatch != "") {
				return badArgs(cmd, "--file replaces the configuration, and goes with no other change")
			}
			var p patch
			var err error
			if file != "" {
				p.data, err = a.read(file, poolkeeper.MaxDocument)
			} else {
				p, err = a.edit(args, merge, jsonPatch)
			}
			if err != nil {
				return err
			}
			st, err := a.kept(ctx)
			if err != nil {
				return err
			}
			defer st.Close()
			var res poolkeeper.Result
			if file != "" {
				res, err = st.PutConfig(ctx, p.data, poolkeeper.Always)
			} else {
				res, err = st.PatchConfig(ctx, p.kind, p.data, poolkeeper.Always)
			}
			return a.printResult(res, err, nil)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "replace the configuration by what is in `FILE`; - is standard input")
	patchFlags(cmd, &merge, &jsonPatch)
	return cmd
}

func patchFlags(cmd *cobra.Command, merge, jsonPatch *string) {
	cmd.Flags().StringVar(merge, "merge", "", "apply the merge patch (RFC 7386) in `FILE`; - is standard input")
	cmd.Flags().StringVar(jsonPatch, "json-patch", "", "apply the JSON Patch (RFC 6902) in `FILE`; - is standard input")
}
