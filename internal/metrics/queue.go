package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/poolkeeper/poolkeeper"
)

var (
	queueOps       = describe("queue_ops", "Acknowledged ops that wait for the store.")
	queueFrozen    = describe("queue_requests", "Requests of them that were sent, and whose outcome is not known.")
	queueAside     = describe("queue_aside", "Ops that could not be applied, for a person to decide.")
	queueBytes     = describe("queue_bytes", "Bytes of what waits.")
	queueQueued    = describe("queue_queued_total", "Ops that were queued.")
	queueSettled   = describe("queue_settled_total", "Ops that were queued and wait no more.")
	queueDropped   = describe("queue_dropped_total", "Ops that were ever given up for want of room.")
	queueLost      = describe("queue_lost_total", "Acknowledged ops that the store has ever lost for good.")
	mode           = prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "mode"), "1 for the mode in which the instance is, 0 for the others.", []string{"mode"}, nil)
	modeSeconds    = describe("mode_seconds", "For how long it has been in that mode.")
	modeTransition = prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "mode_transitions_total"), "Times when a mode began.", []string{"mode"}, nil)
)

func describeQueue(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueOps, queueFrozen, queueAside, queueBytes, queueQueued, queueSettled, queueDropped, queueLost, mode, modeSeconds, modeTransition} {
		ch <- d
	}
}

// collectQueue tells of what waits for the store, where there is a queue.
func collectQueue(ch chan<- prometheus.Metric, q *poolkeeper.QueueMeasures) {
	if q == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge(queueOps, float64(q.Ops))
	gauge(queueFrozen, float64(q.Frozen))
	gauge(queueAside, float64(q.Aside))
	gauge(queueBytes, float64(q.Bytes))
	counter(queueQueued, float64(q.Queued))
	counter(queueSettled, float64(q.Settled))
	counter(queueDropped, float64(q.Dropped))
	counter(queueLost, float64(q.Lost))
	gauge(modeSeconds, q.InMode.Seconds())
	for _, m := range poolkeeper.Modes() {
		is := 0.0
		if m == q.Mode {
			is = 1
		}
		gauge(mode, is, string(m))
		counter(modeTransition, float64(q.Transitions[m]), string(m))
	}
}
