package main

import (
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

// healthOf adds what an op on the health of a provider leaves behind.
func healthOf(r poolkeeper.Result) func(*written) {
	return func(w *written) { w.ErrorCount, w.IsHealthy = &r.Count, &r.Healthy }
}

func (a *app) usageCommand() *cobra.Command {
	var n int64
	cmd := &cobra.Command{
		Use:   "usage TYPE ID",
		Short: "Count a use of a provider",
		Long: `Adds to the usageCount of a provider and moves its lastUsed forward, as a gateway
does for each request. Prints the new count.`,
		Example: `  poolkeeper usage claude-kiro-oauth 7b1c6d1e-0000-4000-8000-000000000001
  poolkeeper usage claude-kiro-oauth 7b1c6d1e-0000-4000-8000-000000000001 -n 25`,
		Args: need("TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			res, err := st.Usage(cmd.Context(), poolkeeper.Ref{Type: args[0], ID: args[1]}, n)
			return a.printResult(res, err, func(w *written) { w.UsageCount = &res.Count })
		},
	}
	cmd.Flags().Int64VarP(&n, "number", "n", 1, "add `N`, 1 or more")
	return cmd
}

func (a *app) errorCommand() *cobra.Command {
	var f poolkeeper.Failure
	var recoverAt string
	cmd := &cobra.Command{
		Use:   "error TYPE ID",
		Short: "Count an error of a provider",
		Long: `Counts an error of a provider, as a gateway does when a request fails. After
MAX_ERROR_COUNT errors (of the configuration; 10 without one) within 10 seconds of
each other the provider is unhealthy; with --unhealthy it is at once, and with
--recover-at until that time.`,
		Example: `  poolkeeper error openai-custom 7b1c6d1e-0000-4000-8000-000000000001 --message "429 from upstream"
  poolkeeper error openai-custom 7b1c6d1e-0000-4000-8000-000000000001 --unhealthy
  poolkeeper error openai-custom 7b1c6d1e-0000-4000-8000-000000000001 --recover-at 2030-01-01T00:00:00Z
  poolkeeper error openai-custom 7b1c6d1e-0000-4000-8000-000000000001 --recover-at 15m`,
		Args: need("TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("recover-at") {
				at, err := moment(recoverAt)
				if err != nil {
					return err
				}
				f.RecoverAt = at
			}
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			res, err := st.Error(cmd.Context(), poolkeeper.Ref{Type: args[0], ID: args[1]}, f)
			return a.printResult(res, err, healthOf(res))
		},
	}
	cmd.Flags().StringVar(&f.Message, "message", "", "what failed, in `WORDS`, without secrets: it is shown and exported")
	cmd.Flags().BoolVar(&f.Unhealthy, "unhealthy", false, "make the provider unhealthy at once")
	cmd.Flags().StringVar(&recoverAt, "recover-at", "", "make it unhealthy until `TIME`: RFC 3339, or a duration from now, as 15m")
	return cmd
}

// moment reads a point in time, or a duration from now.
func moment(s string) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return time.Now().Add(d), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, poolkeeper.Errorf(poolkeeper.ErrInvalid, "--recover-at is neither a time, as 2030-01-01T00:00:00Z, nor a duration, as 15m")
	}
	return t, nil
}

func (a *app) successCommand() *cobra.Command {
	var n int64
	var model string
	cmd := &cobra.Command{
		Use:   "success TYPE ID",
		Short: "Make a provider healthy after a success",
		Long: `Makes a provider healthy with no errors, as a gateway does after a request or a
health check that worked. With -n it counts uses as well.`,
		Example: `  poolkeeper success openai-custom 7b1c6d1e-0000-4000-8000-000000000001
  poolkeeper success openai-custom 7b1c6d1e-0000-4000-8000-000000000001 -n 1
  poolkeeper success openai-custom 7b1c6d1e-0000-4000-8000-000000000001 --model gpt-5`,
		Args: need("TYPE", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			res, err := st.Success(cmd.Context(), poolkeeper.Ref{Type: args[0], ID: args[1]}, n, model)
			return a.printResult(res, err, func(w *written) { w.UsageCount, w.IsHealthy = &res.Count, &res.Healthy })
		},
	}
	cmd.Flags().Int64VarP(&n, "number", "n", 0, "add `N` to usageCount")
	cmd.Flags().StringVar(&model, "model", "", "it was a health check with that `MODEL`")
	return cmd
}
