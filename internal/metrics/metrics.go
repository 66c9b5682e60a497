// Package metrics is what the service tells Prometheus: the ops of the store by
// kind and outcome, the requests by route and status, and how the backend is.
// It is the only package that knows Prometheus. docs/operations.md lists the
// metrics, and a test holds the list to what is there.
//
// No label holds anything that a client or an operator chose: kinds, outcomes,
// routes, methods and statuses are closed sets.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/poolkeeper/poolkeeper"
)

const namespace = "poolkeeper"

// Metrics are those of one service. They may be used from any number of
// goroutines.
type Metrics struct {
	registry *prometheus.Registry
	kinds    map[poolkeeper.OpKind]*kind
	other    *kind // ops of a kind that there is not
	loads    [2]prometheus.Observer
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

// Buckets of seconds: an increment takes some 50 µs, and a write is given up
// after 5 s.
var buckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// New returns the metrics of a service of that version.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	ops := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "ops_total",
		Help: "Ops on the store, by kind and by what became of them: applied, queued, buffered, or the code of the error."}, []string{"kind", "outcome"})
	opTook := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "op_duration_seconds",
		Help: "How long ops took, by kind.", Buckets: buckets}, []string{"kind"})
	loads := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "read_duration_seconds",
		Help: "How long reads of the store took, by outcome.", Buckets: buckets}, []string{"outcome"})
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "http_requests_total",
		Help: "Requests that were answered, by route, method and status."}, []string{"route", "method", "status"})
	m.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "http_request_duration_seconds",
		Help: "How long requests took, by route and method.", Buckets: buckets}, []string{"route", "method"})
	build := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info",
		Help: "1, with the version as a label.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(ops, opTook, loads, m.requests, m.took, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.kinds = map[poolkeeper.OpKind]*kind{}
	for _, k := range poolkeeper.OpKinds() {
		m.kinds[k] = newKind(string(k), ops, opTook)
	}
	m.other = newKind("other", ops, opTook)
	m.loads = [2]prometheus.Observer{loads.WithLabelValues("ok"), loads.WithLabelValues("error")}
	return m
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Connections makes a gauge of how many connections of clients are open.
func (m *Metrics) Connections(open func() int64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: "http_connections",
		Help: "Connections of clients that are open."}, func() float64 { return float64(open()) }))
}

// Request counts a request that was answered. The route is one of the table of
// the service.
func (m *Metrics) Request(route, method string, status int, took time.Duration) {
	method = knownMethod(method)
	m.requests.WithLabelValues(route, method, statusText(status)).Inc()
	m.took.WithLabelValues(route, method).Observe(took.Seconds())
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other" // a client may send anything
}

func statusText(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return statuses[3*(status-100):][:3]
}

// statuses are the statuses one after the other, so that none has to be printed.
var statuses = func() string {
	var b []byte
	for status := 100; status <= 599; status++ {
		b = strconv.AppendInt(b, int64(status), 10)
	}
	return string(b)
}()
