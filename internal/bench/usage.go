package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// poolType is the type of the pools that are measured on.
const poolType = "bench"

// A Row is one measurement.
type Row struct {
	What      string  `json:"what"`
	Callers   int     `json:"callers"`
	Providers int     `json:"providers,omitempty"` // 0 for a comparator
	PerSecond float64 `json:"perSecond"`
	Seconds   float64 `json:"seconds,omitempty"`    // that it took, where that is not given
	CPU       float64 `json:"cpuSeconds,omitempty"` // of this process, in that time
	P50       Micros  `json:"p50us"`
	P99       Micros  `json:"p99us"`
	Max       Micros  `json:"maxus"`
	Allocs    float64 `json:"allocsPerRequest,omitempty"` // of the whole process, in a row over HTTP
	// Ratios are PerSecond over that of each comparator, by its name.
	Ratios map[string]float64 `json:"ratios,omitempty"`
}

// took has the row say how long what was measured took.
func (r *Row) took(all *histogram) {
	r.P50, r.P99, r.Max = Micros(all.quantile(0.50)), Micros(all.quantile(0.99)), Micros(all.max)
}

// Micros is a latency, in JSON a number of microseconds.
type Micros time.Duration

// MarshalJSON writes microseconds with one decimal.
func (m Micros) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(m)/1e3, 'f', 1, 64), nil
}

// Fill initialises an empty store with a pool of n providers of about 600
// bytes.
func Fill(ctx context.Context, st *poolkeeper.Store, n int) error {
	snap := poolkeeper.NewSnapshot()
	pool := &poolkeeper.Pool{Type: poolType}
	for i := range n {
		def := fmt.Sprintf(`{"uuid":%q,"customName":"account %d","OPENAI_BASE_URL":"https://upstream.example/v1","checkHealth":true,"isDisabled":false,"supportedModels":["%s"]}`,
			id(i), i, strings.Repeat("m", 400))
		pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: poolType, ID: id(i)}, Definition: []byte(def)})
	}
	snap.AddPool(pool)
	return st.Restore(ctx, snap)
}

func id(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }

// Usage has callers count uses of the first providers of the pool, each the
// next as soon as it has the answer, for a time. The first tenth of it is not
// counted. It fails where an increment does, and where the counters do not hold
// exactly what was acknowledged.
func Usage(ctx context.Context, st *poolkeeper.Store, callers, providers int, duration time.Duration) (Row, error) {
	before, err := sum(ctx, st)
	if err != nil {
		return Row{}, err
	}
	refs := make([]poolkeeper.Ref, providers)
	for i := range refs {
		refs[i] = poolkeeper.Ref{Type: poolType, ID: id(i)}
	}
	var (
		wg       sync.WaitGroup
		acked    atomic.Int64
		firstErr atomic.Pointer[error]
		each     = make([]histogram, callers)
	)
	begin := time.Now()
	from, until := begin.Add(duration/10), begin.Add(duration+duration/10)
	for c := range callers {
		wg.Go(func() {
			n := int64(0)
			// Providers are picked at random, as redis-benchmark does. The end of one call is the start of the next: one look at the
			// clock for each.
			for now := time.Now(); now.Before(until); {
				if _, err := st.Usage(ctx, refs[rand.IntN(providers)], 1); err != nil {
					firstErr.CompareAndSwap(nil, &err)
					break
				}
				n++
				then := now
				now = time.Now()
				if then.After(from) && now.Before(until) {
					each[c].add(now.Sub(then))
				}
			}
			acked.Add(n)
		})
	}
	wg.Wait()
	if err := firstErr.Load(); err != nil {
		return Row{}, *err
	}
	after, err := sum(ctx, st)
	if err != nil {
		return Row{}, err
	}
	if after-before != acked.Load() {
		return Row{}, poolkeeper.Errorf(poolkeeper.ErrInternal, "%d increments were acknowledged, and the counters grew by %d", acked.Load(), after-before)
	}
	var all histogram
	for i := range each {
		all.merge(&each[i])
	}
	what := "usage, one hot provider"
	if providers > 1 {
		what = "usage, " + strconv.Itoa(providers) + " providers"
	}
	row := Row{What: what, Callers: callers, Providers: providers, PerSecond: float64(all.total) / duration.Seconds()}
	row.took(&all)
	return row, nil
}

// sum adds up the counters of the pool.
func sum(ctx context.Context, st *poolkeeper.Store) (int64, error) {
	pool, err := st.Pool(ctx, poolType)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for i := range pool.Providers {
		total += pool.Providers[i].Count(poolkeeper.UsageCount)
	}
	return total, nil
}
