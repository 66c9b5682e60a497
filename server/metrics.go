package server

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Telemetry is what watches a Server. Its methods are called from any number of
// goroutines, and must not wait.
type Telemetry interface {
	// Request is told of each request once it is answered: its route as the
	// OpenAPI document has it, or "none", the method as it was sent, the status
	// and the time that it took.
	Request(route, method string, status int, took time.Duration)
	// Handler answers GET /metrics.
	Handler() http.Handler
}

const pathMetrics = "/metrics"

// metricRoutes are there where something is measured. They need the key: what a
// gateway does, and how much of it, is nobody else's business.
func (s *Server) metricRoutes() []route {
	if s.telemetry == nil {
		return nil
	}
	handler := s.telemetry.Handler()
	return []route{
		{method: http.MethodGet, path: pathMetrics, id: "metrics", summary: "Read the metrics of the service, as Prometheus does", tag: "service", storeless: true,
			answer: answerRule{kind: jsonAnswer, media: "text/plain", about: "the metrics, in the text format of Prometheus", schema: ""},
			handle: func(x *exchange) error {
				handler.ServeHTTP(x, x.r)
				return nil
			}},
	}
}

// connections counts those of clients.
type clientCount struct{ open atomic.Int64 }

func (c *clientCount) state(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	}
}

// Connections is how many connections of clients are open.
func (s *Server) Connections() int64 { return s.clients.open.Load() }
