package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/client"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	var serving bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the store, the connection to it, and every setting with its source",
		Long: `Shows which store is used, whether it is reachable and initialised, and every
setting with the source that it came from. Nothing of it is secret. Where a service
runs, it is shown with its process and address, and says how its store is.

Exit code 3 where the store is not reachable or not initialised, 1 where it
refuses the credentials or this version; what is known is printed all the same. With
--serving it is 0 as long as requests are answered, as by a service that goes on
while Redis is away: for health checks.`,
		Example: `  poolkeeper status
  poolkeeper status --serving
  REDIS_URL=redis://localhost:6379 poolkeeper status --json`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := a.settings()
			if err != nil {
				return err
			}
			info, notReady := a.info(cmd.Context(), set)
			if err := a.printStatus(info, set); err != nil {
				return err
			}
			if serving && info.Serving {
				return nil
			}
			return notReady
		},
	}
	cmd.Flags().BoolVar(&serving, "serving", false, "exit with 0 where requests are answered, ready or not")
	return cmd
}

// info describes the store, and says why it is not ready.
func (a *app) info(ctx context.Context, set *settings.Settings) (poolkeeper.Info, error) {
	info := poolkeeper.Info{Backend: set.Backend}
	switch set.Backend {
	case settings.BackendFile:
		info.Target = set.ConfigDir
	case settings.BackendRedis:
		info.Target = settings.RedactURL(set.Redis.URL.Reveal())
	}
	if err := set.Check(); err != nil {
		info.Problem = err.Error()
		return info, err
	}
	if in := a.running(ctx, set); in != nil {
		return described(ctx, poolkeeper.New(in.client, nil))
	}
	if set.Backend == settings.BackendMemory {
		info.Ready, info.Serving, info.Target = true, true, set.ConfigDir
		return info, nil
	}
	if set.Backend == settings.BackendFile && !open.Begun(set) {
		_, report, err := configdir.ReadDir(ctx, set.ConfigDir, nil)
		switch {
		case err == nil && report.Scanned == 0:
			err = poolkeeper.Errorf(poolkeeper.ErrUninitialized, "there is nothing in %s", set.ConfigDir)
		case err == nil:
			info.Ready, info.Serving, info.Details = true, true, map[string]string{"journal": "none yet: nothing was written through Poolkeeper"}
		}
		if err != nil {
			info.Problem = err.Error()
		}
		return info, err
	}
	st, err := open.Store(ctx, set, &open.Options{Logger: a.logger(set)})
	if err != nil {
		info.Problem = err.Error()
		return info, err
	}
	defer st.Close()
	return described(ctx, st)
}

// described asks a store how it is, and why it is not ready.
func described(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Info, error) {
	found, err := st.Info(ctx)
	if err != nil {
		return found, err
	}
	delete(found.Details, "service") // the instance is shown by itself
	if found.Ready {
		return found, nil
	}
	// What keeps it from being ready is what a read of it meets.
	if _, err = st.Types(ctx); err == nil {
		_, through := st.Backend().(*client.Client)
		err = unready(&found, through)
	}
	return found, err
}

// unready is why a store that can be read is not ready, with the way out: through a
// service, which may serve on, or where Redis itself was read.
func unready(info *poolkeeper.Info, through bool) error {
	class, what, hint := poolkeeper.ErrUnavailable, info.Problem, ""
	switch info.Mode {
	case poolkeeper.ModeLost:
		class = poolkeeper.ErrLost
		if was, out, ok := strings.Cut(what, " ("); ok && strings.HasSuffix(out, ")") { // the problem is an error with its hint
			what, hint = was, strings.TrimSuffix(out, ")")
		}
	case poolkeeper.ModeDegraded, poolkeeper.ModeFallback:
		hint = "bring Redis back, with its data: the service goes on meanwhile, and by itself after that"
	case poolkeeper.ModeEmpty:
		class = poolkeeper.ErrUninitialized
	case poolkeeper.ModeForeign:
		class = poolkeeper.ErrForeign
	case poolkeeper.ModeRefused:
		class = poolkeeper.ErrForbidden
	default:
		if !through && info.Backend == settings.BackendRedis {
			class = poolkeeper.ErrForbidden // Redis itself was read, so it is of a newer version
		}
	}
	return poolkeeper.Errorf(class, "the store is not ready: %s", what).WithHint("%s", hint)
}

func (a *app) printStatus(info poolkeeper.Info, set *settings.Settings) error {
	if a.json {
		return a.printJSON(struct {
			Store    poolkeeper.Info  `json:"store"`
			Instance *instance        `json:"instance,omitempty"`
			Settings []settings.Entry `json:"settings"`
		}{info, a.found, set.Entries()})
	}
	rows := [][]string{{"store", info.Backend}, {"ready", strconv.FormatBool(info.Ready)}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, cell(value)})
		}
	}
	if in := a.found; in != nil {
		what := fmt.Sprintf("process %d on %s, through %s", in.PID, in.Address, in.Socket)
		if !in.Used {
			what = fmt.Sprintf("not used: process %d on %s serves another store, %s", in.PID, in.Address, in.Store)
		}
		add("instance", what)
	}
	if info.Mode != "" {
		add("mode", fmt.Sprintf("%s since %s", info.Mode, time.UnixMilli(info.Since).UTC().Format(time.RFC3339)))
	}
	add("serving", strconv.FormatBool(info.Serving))
	add("problem", info.Problem)
	add("target", info.Target)
	add("epoch", info.Epoch)
	add("writer", info.Writer)
	if info.Importing {
		add("importing", "an import is unfinished: run it again")
	}
	for _, name := range slices.Sorted(maps.Keys(info.Details)) {
		add(name, info.Details[name])
	}
	if q := info.Queue; q != nil {
		add("waiting", fmt.Sprintf("%s, %s on the way, %d set aside, %d given up", count(uint64(q.Ops), "op"), count(uint64(q.Frozen), "request"), q.Aside, q.Dropped))
	}
	for _, w := range info.Warnings {
		add("warning", w)
	}
	if err := a.table(rows); err != nil {
		return err
	}
	rows = [][]string{{""}, {"SETTING", "VALUE", "SOURCE"}}
	for _, e := range set.Entries() {
		value := "-"
		if e.Value != "" {
			value = cell(e.Value)
		}
		rows = append(rows, []string{e.Name, value, e.Source})
	}
	return a.table(rows)
}
