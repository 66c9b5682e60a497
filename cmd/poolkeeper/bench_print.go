package main

import (
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/bench"
)

// A benchResult is all that was measured.
type benchResult struct {
	rows, imports []bench.Row
	slow          int // scripts during imports, -1 where that is not known
}

func (a *app) printBench(r *benchResult, o *benchOptions) error {
	_, peak := bench.Used()
	if a.json {
		out := map[string]any{
			"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH, "cpus": runtime.NumCPU(), "threads": o.threads,
			"seconds": o.duration.Seconds(), "rows": append(r.rows, r.imports...), "peakBytes": peak,
		}
		if r.slow >= 0 {
			out["slowScripts"] = r.slow
		}
		return a.printJSON(out)
	}
	ratio := func(r bench.Row, name string) string {
		if v, ok := r.Ratios[name]; ok {
			return fmt.Sprintf("%.2f", v)
		}
		return "-"
	}
	out := [][]string{{"WHAT", "CALLERS", "PER SECOND", "P50", "P99", "MAX", "x " + bench.CompareCompound, "x " + bench.CompareHincrby, "x " + bench.CompareEmpty, "ALLOCS"}}
	for _, r := range r.rows {
		what := r.What
		if what == bench.CompareCompound || what == bench.CompareHincrby {
			what = "redis-benchmark, " + what
		}
		allocs := "-"
		if r.Allocs > 0 {
			allocs = fmt.Sprintf("%.0f", r.Allocs)
		}
		out = append(out, []string{what, strconv.Itoa(r.Callers), fmt.Sprintf("%.0f", r.PerSecond),
			latency(r.P50), latency(r.P99), latency(r.Max), ratio(r, bench.CompareCompound), ratio(r, bench.CompareHincrby), ratio(r, bench.CompareEmpty), allocs})
	}
	if err := a.table(out); err != nil || len(r.imports) == 0 {
		return err
	}
	out = [][]string{{"WHAT", "PER SECOND", "SECONDS", "CPU SECONDS", "x " + bench.CompareAwaited, "x " + bench.CompareReadFiles, "x " + bench.CompareWriteFiles}}
	for _, r := range r.imports {
		out = append(out, []string{r.What, fmt.Sprintf("%.0f", r.PerSecond), fmt.Sprintf("%.2f", r.Seconds), fmt.Sprintf("%.2f", r.CPU),
			ratio(r, bench.CompareAwaited), ratio(r, bench.CompareReadFiles), ratio(r, bench.CompareWriteFiles)})
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	if err := a.table(out); err != nil {
		return err
	}
	if err := a.printf("\nmemory at most: %d MiB\n", peak>>20); err != nil || r.slow < 0 {
		return err
	}
	return a.printf("scripts of more than %v during imports: %d\n", bench.SlowScript, r.slow)
}

// latency prints how long something took.
func latency(m bench.Micros) string {
	if d := time.Duration(m); d < time.Microsecond {
		return d.String()
	}
	return time.Duration(m).Round(100 * time.Nanosecond).String()
}
