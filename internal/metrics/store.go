package metrics

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/poolkeeper/poolkeeper"
)

// scrapeWithin bounds how long a scrape waits for the store.
const scrapeWithin = 3 * time.Second

// A storeCollector asks the backend how it is when it is scraped, and at no
// other time.
type storeCollector struct{ b poolkeeper.Backend }

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, nil, nil)
}

var (
	ready       = describe("store_ready", "1 where the store can be reached and is initialised, else 0.")
	serving     = describe("serving", "1 where requests are served, with the store or without it, as readyz says, else 0.")
	warnings    = describe("store_warnings", "What works and should not stay so; status says it in words.")
	pools       = describe("store_pools", "Pools in the store.")
	providers   = describe("store_providers", "Providers in the store.")
	usedBytes   = describe("redis_memory_used_bytes", "Memory that Redis uses.")
	maxBytes    = describe("redis_memory_max_bytes", "Memory that Redis may use; absent without a limit.")
	connections = describe("redis_connections", "Connections of this instance to Redis that are open.")
	waiting     = describe("lanes_waiting", "Keys with ops that wait for a batch of this instance to land.")
	batchOps    = describe("batch_ops", "How many ops travelled together in a batch.")
	resent      = describe("batches_resent_total", "Batches that had to be sent again, as their outcome was not known.")
)

func newStoreCollector(b poolkeeper.Backend) prometheus.Collector { return &storeCollector{b} }

func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ready, serving, warnings, pools, providers, usedBytes, maxBytes, connections, waiting, batchOps, resent} {
		ch <- d
	}
	describeCopy(ch)
	describeQueue(ch)
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }

	info, err := c.b.Info(ctx)
	gauge(ready, flag(err == nil && info.Ready))
	gauge(serving, flag(err == nil && (info.Ready || info.Serving)))
	gauge(warnings, float64(len(info.Warnings)))

	var m poolkeeper.Measures
	if meter, ok := c.b.(poolkeeper.Meter); ok {
		m = meter.Measure(ctx)
	}
	gauge(connections, float64(m.Connections))
	gauge(waiting, float64(m.LanesWaiting))
	ch <- prometheus.MustNewConstMetric(resent, prometheus.CounterValue, float64(m.Resent))
	ch <- batchHistogram(&m.Batches)
	collectCopy(ch, m.Copy)
	collectQueue(ch, m.Queue)
	if m.Size == nil {
		return // an old figure would pass for the present one
	}
	gauge(pools, float64(m.Size.Pools))
	gauge(providers, float64(m.Size.Providers))
	if m.Size.UsedBytes > 0 {
		gauge(usedBytes, float64(m.Size.UsedBytes))
	}
	if m.Size.MaxBytes > 0 {
		gauge(maxBytes, float64(m.Size.MaxBytes))
	}
}

func batchHistogram(b *poolkeeper.BatchSizes) prometheus.Metric {
	var total uint64
	cumulative := make(map[float64]uint64, len(b.Counts))
	for i, n := range b.Counts {
		total += n
		bound := math.Inf(1)
		if i < len(poolkeeper.BatchBounds) {
			bound = float64(poolkeeper.BatchBounds[i])
		}
		cumulative[bound] = total
	}
	delete(cumulative, math.Inf(1)) // which is the count
	return prometheus.MustNewConstHistogram(batchOps, total, float64(b.Ops), cumulative)
}
