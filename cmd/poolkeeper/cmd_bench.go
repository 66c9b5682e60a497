package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/bench"
	"github.com/poolkeeper/poolkeeper/internal/settings"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/poolkeeper/poolkeeper/server"
	"github.com/spf13/cobra"
)

type benchOptions struct {
	callers   string
	duration  time.Duration
	providers int
	threads   int
	imports   int
	conns     int
}

func (a *app) benchCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine",
		Long: `Measures usage increments, the write of every request of a gateway: how many in a
second, and how long they take (median, 99th percentile and the longest), with
different numbers of concurrent callers, over many providers and on a single hot
one. Each caller makes its next call when it has the answer. Every increment is
acknowledged by Redis and counted exactly once, which is checked. Each increment
goes to a provider picked at random, as redis-benchmark picks them.

redis-benchmark, where it is installed, is run on the same server before it: with
the bare script of the same work, one call for each command (HINCRBY, HSET and
HGET by EVALSHA, -P 1, 100 clients), and with bare pipelined HINCRBY (-P 64).

Then what a gateway reads is measured, from the copy that it keeps in memory, in a
pool of 1,000 providers; and how long it takes from the call of an increment on one
instance until others read it, idle and beside 10,000 increments a second. CALLERS
is the number of the others there; these rows use all cores.

Then a directory of --import providers with a token each is made, imported,
verified and exported, beside a loop over the same records that sends one HSET or
SET and waits for its answer before the next. An import reads the directory and
verifies the store at its end, which the loop does not: "writing alone" is what the
two have in common. Two more loops do nothing but read all files of the directory,
and make and write them, without a sync: what any import or export has to do. The
rates are providers and tokens in a second; below them are the memory that it took
at most, and how many scripts took Redis more than 5 ms.

A file system may be much slower for minutes after as many files were removed, as
is done at the end: ext4 does not use what is freed at once.

Over the REST API, --connections connections post uses to a service as serve starts
it, on Redis and on files, beside an empty handler of net/http that gets the same
requests. Service and clients are one process; the allocations for each request
are all that it makes.

Redis on the same machine needs a core of its own, or both are measured waiting for
each other: --threads says how many the callers may use. By default it is one on up
to three cores, as redis-benchmark uses one, and half of them on more.

A redis-server of its own is started for it; with --redis-url another one is used,
under a random key prefix that is removed afterwards. REDIS_URL and the other
settings are not used.`,
		Example: `  poolkeeper bench
  poolkeeper bench --callers 1,100 --duration 1s --json
  poolkeeper bench --import 100000 --callers 1 --duration 100ms
  poolkeeper bench --redis-url redis://localhost:6379`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.bench(cmd.Context(), &o) },
	}
	cmd.Flags().StringVar(&o.callers, "callers", "1,100,1000", "numbers of concurrent callers, as `LIST`")
	cmd.Flags().DurationVar(&o.duration, "duration", 3*time.Second, "measure each row for that `TIME`")
	cmd.Flags().IntVar(&o.providers, "providers", 100, "put `N` providers into the pool")
	cmd.Flags().IntVar(&o.imports, "import", 10_000, "import `N` providers with a token each; 0 leaves it out")
	cmd.Flags().IntVar(&o.conns, "connections", 100, "post uses over `N` connections; 0 leaves it out")
	cmd.Flags().IntVar(&o.threads, "threads", benchThreads(runtime.NumCPU()), "run the callers on `N` cores")
	return cmd
}

func benchThreads(cpus int) int {
	if cpus <= 3 {
		return 1
	}
	return cpus / 2
}

// parse checks the options and returns the numbers of callers.
func (o *benchOptions) parse() ([]int, error) {
	if o.duration < 10*time.Millisecond || o.duration > time.Hour {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "--duration must be 10ms to 1h")
	}
	if o.providers < 1 || o.providers > 100_000 {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "--providers must be 1 to 100000")
	}
	if o.imports < 0 || o.imports > 1_000_000 {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "--import must be 0 to 1000000")
	}
	if o.conns < 0 || o.conns > 10_000 {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "--connections must be 0 to 10000")
	}
	if o.threads < 1 || o.threads > 1024 {
		return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "--threads must be 1 to 1024")
	}
	var callers []int
	for s := range strings.SplitSeq(o.callers, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 || n > 100_000 {
			return nil, poolkeeper.Errorf(poolkeeper.ErrInvalid, "--callers must be numbers of 1 to 100000, as 1,100,1000")
		}
		callers = append(callers, n)
	}
	return callers, nil
}

func (a *app) bench(ctx context.Context, o *benchOptions) (err error) {
	callers, err := o.parse()
	if err != nil {
		return err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(o.threads))
	url := a.cmd.Flag("redis-url").Value.String()
	ours := url == ""
	if ours {
		own, err := bench.StartRedis(ctx)
		if err != nil {
			return err
		}
		defer own.Close()
		url = own.URL
	}
	prefix := "poolkeeper-bench-" + randomKey()[:12] + ":"
	set, err := settings.Resolve(settings.Input{Flags: map[string]string{"redis-url": url, "key-prefix": prefix, "backend": settings.BackendRedis}})
	if err != nil {
		return err
	}
	side, err := bench.OpenSide(url, prefix)
	if err != nil {
		return err
	}
	defer func() {
		if e := side.Close(ctx); err == nil {
			err = e
		}
	}()
	st, err := open.Store(ctx, set, &open.Options{Logger: a.logger(set)})
	if err != nil {
		return err
	}
	defer st.Close()
	if err := bench.Fill(ctx, st, o.providers); err != nil {
		return err
	}

	a.note("measuring redis-benchmark")
	compared, skipped, err := side.Compare(ctx, o.providers, o.duration)
	if err != nil {
		return err
	}
	if skipped != "" {
		a.note("nothing to compare with: %s", skipped)
	}
	res := benchResult{rows: compared, slow: -1}
	pools := []int{o.providers, 1}
	for _, providers := range slices.Compact(pools) {
		for _, n := range callers {
			a.note("measuring %d callers on %d providers for %s", n, providers, o.duration)
			row, err := bench.Usage(ctx, st, n, providers, o.duration)
			if err != nil {
				return err
			}
			row.Compare(compared...)
			res.rows = append(res.rows, row)
		}
	}
	if o.conns > 0 {
		more, err := a.benchREST(ctx, o, st)
		if err != nil {
			return err
		}
		res.rows = append(res.rows, more...)
	}
	more, err := a.benchCopy(ctx, o, url, prefix)
	if err != nil {
		return err
	}
	res.rows = append(res.rows, more...)
	if o.imports > 0 {
		if _, err := side.SlowScripts(ctx); ours && err != nil {
			return err
		}
		if res.imports, err = a.benchImport(ctx, o, side, url, prefix); err != nil {
			return err
		}
		if ours {
			if res.slow, err = side.SlowScripts(ctx); err != nil {
				return err
			}
		}
	}
	return a.printBench(&res, o)
}

// benchREST measures the REST API over the store, and over one on files.
func (a *app) benchREST(ctx context.Context, o *benchOptions, st *poolkeeper.Store) ([]bench.Row, error) {
	temp, err := os.MkdirTemp("", "poolkeeper-bench-")
	if err != nil {
		return nil, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%v", err)
	}
	defer os.RemoveAll(temp)
	set, err := settings.Resolve(settings.Input{Flags: map[string]string{
		"backend": settings.BackendFile, "config-dir": filepath.Join(temp, "configs"), "state-dir": filepath.Join(temp, "state"),
	}})
	if err != nil {
		return nil, err
	}
	files, err := open.Store(ctx, set, &open.Options{Logger: a.logger(set)})
	if err != nil {
		return nil, err
	}
	defer files.Close()
	if err := bench.Fill(ctx, files, o.providers); err != nil {
		return nil, err
	}
	key := randomKey()
	a.note("measuring %d connections", o.conns)
	empty, err := bench.REST(ctx, bench.CompareEmpty, bench.EmptyService, key, nil, o.conns, o.providers, o.duration)
	if err != nil {
		return nil, err
	}
	rows := []bench.Row{empty}
	for _, on := range []struct {
		what string
		st   *poolkeeper.Store
	}{{"POST usage, on Redis", st}, {"POST usage, on files", files}} {
		serve := func(ctx context.Context, ln net.Listener) error {
			return a.service(set, on.st, key, server.Instance{}).Serve(ctx, ln)
		}
		row, err := bench.REST(ctx, on.what, serve, key, on.st, o.conns, o.providers, o.duration)
		if err != nil {
			return nil, err
		}
		row.Compare(empty)
		rows = append(rows, row)
	}
	return rows, nil
}
