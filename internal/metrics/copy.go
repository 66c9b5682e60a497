package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/poolkeeper/poolkeeper"
)

var (
	copyAge     = describe("copy_age_seconds", "For how long the copy that reads come from has not been known to be current; 0 where it is.")
	copyChanges = describe("copy_changes_total", "Changes that the copy was told of.")
	copyKnown   = describe("copy_changes_known_total", "Those of them that it had already.")
	copyGaps    = describe("copy_gaps_total", "Places where a change was missed; the pool was loaded.")
	copyLost    = describe("copy_lost_total", "Times when changes ceased to be told; everything was compared after.")
	copyFailed  = describe("copy_loads_failed_total", "Attempts to load something that failed; each is made again.")
	copyOlder   = describe("copy_older_total", "Times when the store had something older than the copy, which was kept.")
	copyWaits   = describe("copy_waits_total", "Calls that waited for what was written to be in the copy.")
	copyWaited  = describe("copy_waited_seconds_total", "For how long all of them waited.")
	copyReloads = prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "copy_reloads_total"), "Pools that were loaded whole, by the cause.", []string{"cause"}, nil)
)

func describeCopy(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{copyAge, copyChanges, copyKnown, copyGaps, copyLost, copyFailed, copyOlder, copyWaits, copyWaited, copyReloads} {
		ch <- d
	}
}

// collectCopy tells of the copy that reads come from, where there is one.
func collectCopy(ch chan<- prometheus.Metric, c *poolkeeper.CopyMeasures) {
	if c == nil {
		return
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	if c.Made {
		ch <- prometheus.MustNewConstMetric(copyAge, prometheus.GaugeValue, c.Age.Seconds())
	}
	counter(copyChanges, float64(c.Changes))
	counter(copyKnown, float64(c.Known))
	counter(copyGaps, float64(c.Gaps))
	counter(copyLost, float64(c.Lost))
	counter(copyFailed, float64(c.Failed))
	counter(copyOlder, float64(c.Older))
	counter(copyWaits, float64(c.Waits))
	counter(copyWaited, c.Waited.Seconds())
	for cause, n := range c.Reloads {
		counter(copyReloads, float64(n), cause)
	}
}
