package main

import (
	"maps"
	"slices"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

func (a *app) docCommand() *cobra.Command {
	parent := group(&cobra.Command{
		Use:   "doc",
		Short: "Look at and edit the other documents",
		Long: `The JSON documents other than the configuration: plugins, usage cache, custom
models and so on. A document has the name of its file, such as plugins.json;
"poolkeeper doc list" shows the names.`,
	})
	parent.AddCommand(a.docList(), a.docGet(), a.docSet(), a.docRemove())
	return parent
}

func (a *app) docList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the documents",
		Long:  "Lists the documents with their size and ETag.",
		Example: `  poolkeeper doc list
  poolkeeper doc list --json`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.readable(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			docs, err := st.Documents(cmd.Context())
			if err != nil {
				return err
			}
			type entry struct {
				Name string `json:"name"`
				Size int    `json:"size"`
				ETag string `json:"etag"`
			}
			list := []entry{}
			rows := [][]string{{"NAME", "BYTES", "ETAG"}}
			for _, name := range slices.Sorted(maps.Keys(docs)) {
				d := docs[name]
				list = append(list, entry{name, len(d.Data), d.ETag()})
				rows = append(rows, []string{cell(name), strconv.Itoa(len(d.Data)), d.ETag()})
			}
			if a.json {
				return a.printJSON(list)
			}
			return a.table(rows)
		},
	}
}

func (a *app) docGet() *cobra.Command {
	var reveal bool
	cmd := &cobra.Command{
		Use:   "get NAME [FIELD]",
		Short: "Print a document, or one field of it",
		Long: `Prints a document, or the JSON value of one field. Secrets are masked, by the
names of the fields; with --reveal the bytes are printed as they are stored.`,
		Example: `  poolkeeper doc get plugins.json
  poolkeeper doc get plugins.json --reveal > plugins.json`,
		Args: needSome(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := a.readable(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			d, err := st.Document(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printPart(poolkeeper.DocumentKey(args[0]).String(), d.Data, args[1:], reveal)
		},
	}
	revealFlag(cmd, &reveal)
	return cmd
}

func (a *app) docSet() *cobra.Command {
	var file, merge, jsonPatch string
	cmd := &cobra.Command{
		Use:   "set NAME [FIELD=VALUE...]",
		Short: "Change fields of a document, or replace or add it",
		Long: `Changes fields of a document; everything else in it stays as it is, byte for byte.
With --file it is replaced as a whole, or added.

` + assignHelp,
		Example: `  poolkeeper doc set plugins.json --file plugins.json
  poolkeeper doc set usage-cache.json --merge - < changes.json`,
		Args: needSome(-1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if file != "" && (len(args) > 1 || merge != "" || jsonPatch != "") {
				return badArgs(cmd, "--file replaces the document, and goes with no other change")
			}
			var p patch
			var err error
			if file != "" {
				p.data, err = a.read(file, poolkeeper.MaxDocument)
			} else {
				p, err = a.edit(args[1:], merge, jsonPatch)
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
				res, err = st.PutDocument(ctx, args[0], p.data, poolkeeper.Always)
			} else {
				res, err = st.PatchDocument(ctx, args[0], p.kind, p.data, poolkeeper.Always)
			}
			return a.printResult(res, err, nil)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "replace or add the document with what is in `FILE`; - is standard input")
	patchFlags(cmd, &merge, &jsonPatch)
	return cmd
}

func (a *app) docRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME",
		Short:   "Remove a document",
		Long:    "Removes a document from the store.",
		Example: `  poolkeeper doc rm usage-cache.json`,
		Args:    need("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			res, err := st.DeleteDocument(cmd.Context(), args[0], poolkeeper.Always)
			return a.printResult(res, err, nil)
		},
	}
}
