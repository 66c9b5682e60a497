package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/spf13/cobra"
)

// An app is one run of the command: what it reads and writes, and the flags
// that all commands have.
type app struct {
	env         map[string]string
	in          io.Reader
	out, errOut io.Writer
	json        bool
	// began is set once the arguments of the command were accepted: an error
	// before that is one of usage.
	began bool
	cmd   *cobra.Command
	set   *settings.Settings

	midLine bool // a line of progress has no end yet

	direct bool
	looked bool      // for an instance
	found  *instance // nil where there is none
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args, environ []string, in io.Reader, out, errOut io.Writer) int {
	results := &stdout{w: out}
	a := &app{env: map[string]string{}, in: in, out: results, errOut: errOut}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			a.env[name] = value
		}
	}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(results)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = results.failed
	}
	a.forget()
	if err == nil {
		return poolkeeper.ExitOK
	}
	if !a.began && results.failed == nil {
		a.json = wantsJSON(args)
		err = usageError(err)
	}
	return a.fail(err)
}

const exitCodes = `Exit codes:
  0    done
  1    differences were found, or the command was refused
  2    wrong use, or input that cannot be what it should be
  3    the store is not reachable or not initialised, or the outcome is unknown
  4    internal error
  130  interrupted`

const rootLong = `Poolkeeper keeps the shared state of AI-API gateways: pools of provider
accounts with their health and usage counters, OAuth tokens, configuration,
password and sessions. The store is Redis, for any number of instances, or the
gateway's own directory, for one.

Which store is used follows from the settings: a flag comes before the
environment (REDIS_URL, REDIS_HOST, ...), that before config.json of the
directory, that before the default. "poolkeeper status" shows each with its
source.

Where a service runs on that store, a command goes through it: it finds the socket
in the state directory. Otherwise, and with --direct, it opens the store itself.

Results go to stdout, everything else to stderr. Secrets are masked unless a
command is given --reveal. With --json results are JSON, and an error is a JSON
object on stderr: {"error": {"code", "message", "hint", "exit"}}.

` + exitCodes

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "poolkeeper",
		Short: "Keep the pools, tokens and configuration of AI-API gateways",
		Long:  rootLong,
		Example: `  poolkeeper import --config-dir ./configs --redis-url redis://localhost:6379
  poolkeeper serve --redis-url redis://localhost:6379
  poolkeeper provider list`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			a.began, a.cmd = true, cmd
		},
	}
	f := root.PersistentFlags()
	f.String("config-dir", "", "the gateway's `DIR` with config.json and provider_pools.json (default ./configs)")
	f.String("redis-url", "", "`URL` of Redis: redis://, rediss:// or unix://; REDIS_URL_FILE keeps it out of the list of processes")
	f.String("redis-tls-ca-file", "", "verify the certificate of a rediss:// URL against the authorities in `FILE` alone (default those of the system)")
	f.String("key-prefix", "", "`PREFIX` of all keys in Redis: one is one tenant (default aiclient:)")
	f.String("backend", "", "the `KIND` of store: auto, redis, file or memory; auto is redis where a URL or host is set, else file (default auto)")
	f.String("state-dir", "", "the `DIR` where a service has its key, socket and journal (see poolkeeper status)")
	f.BoolVar(&a.direct, "direct", false, "open the store itself, also where a service has it")
	f.String("log-level", "", "the `LEVEL` of the log: debug, info, warn or error (default info)")
	f.BoolVar(&a.json, "json", false, "print results and errors as JSON")
	group(root)
	root.AddCommand(
		a.serveCommand(), a.initCommand(), a.importCommand(), a.exportCommand(), a.verifyCommand(), a.statusCommand(), a.watchCommand(),
		a.providerCommand(), a.tokenCommand(), a.configCommand(), a.docCommand(), a.passwordCommand(),
		a.usageCommand(), a.errorCommand(), a.successCommand(), a.journalCommand(), a.recoverCommand(), a.benchCommand(), a.versionCommand(),
		a.completionCommand(), a.manCommand(),
	)
	root.CompletionOptions.DisableDefaultCmd = true
	exemplify(root)
	a.completions(root)
	return root
}

// lookup is the environment, for settings.
func (a *app) lookup(name string) (string, bool) {
	v, ok := a.env[name]
	return v, ok
}

// settings resolves the settings once, with the flags that the command has.
func (a *app) settings() (*settings.Settings, error) {
	if a.set != nil {
		return a.set, nil
	}
	flags := map[string]string{}
	for _, name := range []string{"config-dir", "redis-url", "redis-tls-ca-file", "key-prefix", "backend", "log-level", "addr", "allowed-host", "state-dir"} {
		if f := a.cmd.Flags().Lookup(name); f != nil && f.Changed {
			if f.Value.String() == "" {
				return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "flag --%s is empty", name).WithHint("give it a value, or leave it out")
			}
			flags[name] = f.Value.String()
		}
	}
	set, err := settings.Resolve(settings.Input{Flags: flags, Env: a.lookup})
	if err != nil {
		return nil, hinted(err)
	}
	a.set = set
	return set, nil
}

// logger writes to stderr, as text on a terminal and else as JSON.
func (a *app) logger(set *settings.Settings) *slog.Logger {
	opts := &slog.HandlerOptions{Level: set.LogLevel}
	if set.LogFormat == "text" || set.LogFormat == "" && isTerminal(a.errOut) {
		return slog.New(slog.NewTextHandler(a.errOut, opts))
	}
	return slog.New(slog.NewJSONHandler(a.errOut, opts))
}

// isTerminal reports whether somebody may look at what is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a device too, on which nobody looks
	return err != nil || !os.SameFile(info, null)
}

func isTerminalReader(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && isTerminal(f)
}
