package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completeWithin bounds how long a key that was pressed may wait for the store.
const completeWithin = 2 * time.Second

// maxCandidates is how many candidates a shell is given.
const maxCandidates = 1000

// safeWord is what stands for itself in every shell. Anything else is not offered:
// an id may hold what a shell takes for a command.
var safeWord = regexp.MustCompile(`^[\p{L}\p{N}_.:@%+,/~-]+$`)

// completions tells the shells how arguments and flags of all commands are
// completed: arguments by their names in the usage.
func (a *app) completions(root *cobra.Command) {
	for name, values := range map[string][]string{
		"backend":   {settings.BackendAuto, settings.BackendRedis, settings.BackendFile, settings.BackendMemory},
		"log-level": {"debug", "info", "warn", "error"},
	} {
		_ = root.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if _, there := cmd.GetFlagCompletionFunc(f.Name); there {
				return
			}
			switch name, _ := pflag.UnquoteUsage(f); name {
			case "DIR":
				_ = cmd.RegisterFlagCompletionFunc(f.Name, directories)
			case "FILE":
			default:
				_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
			}
		})
		if words := strings.Fields(cmd.Use); !cmd.HasSubCommands() {
			cmd.ValidArgsFunction = a.argument(words[1:])
		}
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(root)
}

func directories(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// argument completes the arguments that a usage names.
func (a *app) argument(names []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		name := ""
		switch n := len(args); {
		case n < len(names):
			name = strings.Trim(names[n], "[]")
		case len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...]"):
			name = strings.Trim(names[len(names)-1], "[]")
		}
		switch name {
		case "SHELL":
			return shells, cobra.ShellCompDirectiveNoFileComp
		case "DIR":
			return nil, cobra.ShellCompDirectiveFilterDirs
		case "TYPE", "ID", "NAME", "FIELD":
			return a.candidates(cmd, name, args, begun), cobra.ShellCompDirectiveNoFileComp
		case "FIELD=VALUE...":
			if strings.Contains(begun, "=") {
				break
			}
			found := a.candidates(cmd, "FIELD", args, begun)
			for i, c := range found {
				word, about, _ := strings.Cut(c, "\t")
				found[i] = cobra.CompletionWithDesc(word+"=", about)
			}
			return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// candidates are what the store has, of a kind. What goes wrong is nobody's
// business at that moment: there are none then.
func (a *app) candidates(cmd *cobra.Command, name string, args []string, begun string) []cobra.Completion {
	a.cmd, a.errOut = cmd, io.Discard
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	found := make(chan map[string]string, 1)
	go func() {
		all, err := a.known(ctx, name, args)
		if err != nil {
			all = nil
		}
		found <- all
	}()
	var all map[string]string
	select {
	case all = <-found:
	case <-ctx.Done():
	}
	var out []cobra.Completion
	for _, word := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(word, begun) && safeWord.MatchString(word) && len(out) < maxCandidates {
			out = append(out, cobra.CompletionWithDesc(word, all[word]))
		}
	}
	return out
}

// known reads what there is of a kind, each with a few words about it that are no
// secret.
func (a *app) known(ctx context.Context, name string, args []string) (map[string]string, error) {
	st, err := a.glance(ctx)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	all := map[string]string{}
	path, group := a.within()
	switch {
	case name == "TYPE":
		pools, err := st.Pools(ctx)
		for _, p := range pools {
			all[p.Type] = count(uint64(len(p.Providers)), "provider")
		}
		return all, err
	case name == "ID":
		pool, err := st.Pool(ctx, args[0])
		if err != nil {
			return nil, err
		}
		for i := range pool.Providers {
			p := &pool.Providers[i]
			all[p.ID] = fmt.Sprintf("%s, %s", shown(text(p.Definition, "customName")), stateOf(p))
		}
		return all, nil
	case name == "NAME":
		docs, err := st.Documents(ctx)
		for n, d := range docs {
			all[n] = fmt.Sprintf("%d bytes", len(d.Data))
		}
		return all, err
	}
	var doc []byte
	switch {
	case group == "config":
		d, err := st.Config(ctx)
		if err != nil {
			return nil, err
		}
		doc = d.Data
	case group == "doc":
		d, err := st.Document(ctx, args[0])
		if err != nil {
			return nil, err
		}
		doc = d.Data
	case path == "provider set":
		p, err := st.Provider(ctx, poolkeeper.Ref{Type: args[0], ID: args[1]})
		if err != nil {
			return nil, err
		}
		doc = p.Definition
	}
	doc, _ = rawjson.StripBOM(doc)
	return all, rawjson.Object(doc, func(key, value []byte) error {
		if field, ok := rawjson.Unquote(key); ok {
			all[field] = ""
		}
		return nil
	})
}

// glance opens the store for a look that must not take long, and leaves nothing
// behind: a directory is read and not opened.
func (a *app) glance(ctx context.Context) (*poolkeeper.Store, error) {
	set, err := a.settings()
	if err != nil {
		return nil, err
	}
	if err := set.Check(); err != nil {
		return nil, err
	}
	if a.running(ctx, set) != nil {
		return a.open(ctx, set)
	}
	if set.Backend != settings.BackendRedis {
		return a.loaded(ctx, set)
	}
	brief := *set
	brief.Redis.ConnectTimeout = min(brief.Redis.ConnectTimeout, completeWithin/2)
	brief.Redis.CommandTimeout = min(brief.Redis.CommandTimeout, completeWithin/2)
	return open.Store(ctx, &brief, nil)
}
