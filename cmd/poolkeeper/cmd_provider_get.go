package main

import (
	"strconv"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/spf13/cobra"
)

func (a *app) providerList() *cobra.Command {
	var reveal bool
	cmd := &cobra.Command{
		Use:   "list [TYPE]",
		Short: "List the providers of all pools, or of one",
		Long: `Lists the providers in their order. With --json they are printed whole, with
their runtime state and their secrets masked: an object of types to arrays, as in
provider_pools.json, or the array of one TYPE. An id that is not the uuid is in
the field _id.`,
		Example: `  poolkeeper provider list
  poolkeeper provider list claude-kiro-oauth --json`,
		Args: needSome(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := a.readable(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			var pools []*poolkeeper.Pool
			if len(args) == 1 {
				p, err := st.Pool(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				pools = []*poolkeeper.Pool{p}
			} else if pools, err = st.Pools(cmd.Context()); err != nil {
				return err
			}
			if a.json {
				return a.printPools(pools, len(args) == 1, reveal)
			}
			return a.listPools(pools)
		},
	}
	revealFlag(cmd, &reveal)
	return cmd
}

func (a *app) listPools(pools []*poolkeeper.Pool) error {
	rows := [][]string{{"TYPE", "ID", "NAME", "STATE", "USAGE", "ERRORS", "LAST USED"}}
	for _, pool := range pools {
		if len(pool.Providers) == 0 {
			rows = append(rows, []string{word(pool.Type), "(no providers)"})
		}
		for i := range pool.Providers {
			p := &pool.Providers[i]
			rows = append(rows, []string{
				word(pool.Type), word(p.ID), shown(text(p.Definition, "customName")), stateOf(p),
				strconv.FormatInt(p.Count(poolkeeper.UsageCount), 10), strconv.FormatInt(p.Count(poolkeeper.ErrorCount), 10),
				shown(unquoted([]byte(p.Literal(poolkeeper.LastUsed)))),
			})
		}
	}
	return a.table(rows)
}

func stateOf(p *poolkeeper.Provider) string {
	switch {
	case p.Disabled():
		return "disabled"
	case !p.Healthy():
		return "unhealthy"
	case poolkeeper.Truthy(p.Literal(poolkeeper.NeedsRefresh)):
		return "needs refresh"
	}
	return "healthy"
}

// text reads a field of a definition as text; what is no string is its literal.
func text(doc []byte, name string) string {
	v, _ := rawjson.Get(doc, name)
	return unquoted(v)
}

func unquoted(literal []byte) string {
	if s, ok := rawjson.Unquote(literal); ok {
		return s
	}
	if string(literal) == "null" {
		return ""
	}
	return string(literal)
}

// shown prints a text of a definition in a table, with its credentials masked as
// elsewhere.
func shown(s string) string {
	if s == "" {
		return "-"
	}
	return cell(redactText(s))
}

// printPools prints pools as JSON, every provider as it is stored but for the
// indent.
func (a *app) printPools(pools []*poolkeeper.Pool, one, reveal bool) error {
	out := []byte("{")
	if one {
		out = nil
	}
	for i, pool := range pools {
		if i > 0 {
			out = append(out, ',')
		}
		if !one {
			out = append(rawjson.AppendQuote(out, pool.Type), ':')
		}
		out = append(out, '[')
		for j := range pool.Providers {
			if j > 0 {
				out = append(out, ',')
			}
			doc, err := whole(&pool.Providers[j], reveal)
			if err != nil {
				return err
			}
			out = append(out, doc...)
		}
		out = append(out, ']')
	}
	if !one {
		out = append(out, '}')
	}
	return a.print(append(rawjson.Indent(nil, out, "", "  "), '\n'))
}

// whole is a provider with its runtime state, and its id where that is not the
// uuid.
func whole(p *poolkeeper.Provider, reveal bool) ([]byte, error) {
	doc, err := p.JSON()
	if err != nil {
		return nil, err
	}
	if id, ok := poolkeeper.UsableUUID(p.Definition); !ok || id != p.ID {
		if doc, err = rawjson.Set(doc, "_id", rawjson.Quote(p.ID)); err != nil {
			return nil, &poolkeeper.Error{Action: "read", Key: p.Ref.String(), Err: poolkeeper.ErrDamaged, Detail: err.Error()}
		}
	}
	if !reveal {
		doc = mask(doc)
	}
	return doc, nil
}

func (a *app) providerGet() *cobra.Command {
	var reveal, definition bool
	cmd := &cobra.Command{
		Use:   "get TYPE ID",
		Short: "Print a provider",
		Long: `Prints a provider as JSON, with its runtime state and its secrets masked. With
--definition it is what the operator wrote, without the runtime state; with that
and --reveal its bytes as they are stored.`,
		Example: "  poolkeeper provider get openai-custom " + anID + "\n  poolkeeper provider get openai-custom " + anID + " --definition --reveal",
		Args:    need("TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := a.readable(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			ref := poolkeeper.Ref{Type: args[0], ID: args[1]}
			p, err := st.Provider(cmd.Context(), ref)
			if err != nil {
				return err
			}
			if p.ID != ref.ID {
				a.note("poolkeeper: the provider was renamed to %s", word(p.ID))
			}
			if definition {
				return a.printDocument("provider "+p.Ref.String(), p.Definition, reveal, mask)
			}
			doc, err := whole(p, reveal)
			if err != nil {
				return err
			}
			return a.print(append(rawjson.Indent(nil, doc, "", "  "), '\n'))
		},
	}
	revealFlag(cmd, &reveal)
	cmd.Flags().BoolVar(&definition, "definition", false, "print the definition, without the runtime state")
	return cmd
}
