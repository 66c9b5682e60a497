package server

import (
	"crypto/sha256"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/poolkeeper/poolkeeper"
)

// MinKey is the fewest characters that the key may have.
const MinKey = 16

// Options of a Server.
type Options struct {
	// Key is what a client shows as "Authorization: Bearer KEY". It is required
	// and has at least [MinKey] characters; without one nobody is let in, and
	// Serve refuses to start.
	Key string
	// Addr is the address that the service is reached at, host:port. Its host
	// may stand in a Host header.
	Addr string
	// AllowedHosts are further names or addresses that may stand in a Host
	// header, without a port: what the service is called behind a proxy.
	AllowedHosts []string
	// Logger gets one line for each request, at debug level, or at info where
	// the answer is 500 or above, and what went wrong inside. Nil logs nothing.
	Logger *slog.Logger
	// Version is what status and the OpenAPI document show.
	Version string
	// Telemetry is told of each request, and answers GET /metrics. Where it is
	// nil there is no such path.
	Telemetry Telemetry
	// Instance is what GET /api/v1/instance answers with.
	Instance Instance
	// ShutdownGrace is how long Serve waits for the requests under way once it
	// is told to stop; 10 s where it is 0.
	ShutdownGrace time.Duration
}

// A Server answers the REST API of one Store. It may be used from any number of
// goroutines.
type Server struct {
	store   *poolkeeper.Store
	log     *slog.Logger
	grace   time.Duration
	linger  time.Duration // lastRequests, but for tests
	version string
	started time.Time

	instance Instance

	now    func() time.Time
	logins logins
	// passwords are those that were tried, by who asks and for whom.
	passwords attempts

	hub       *hub
	heartbeat time.Duration // heartbeat, but for tests

	telemetry Telemetry
	clients   clientCount

	hasKey  bool
	keyHash [sha256.Size]byte
	hosts   hostNames

	mux     *http.ServeMux
	api     *huma.OpenAPI
	routes  []*route
	openAPI []byte // the document, encoded once
	docs    []byte // the same for people
}

// New returns a Server over a store, which stays the caller's to close.
func New(st *poolkeeper.Store, opts *Options) *Server {
	if opts == nil {
		opts = &Options{}
	}
	s := &Server{
		store:   st,
		log:     opts.Logger,
		grace:   opts.ShutdownGrace,
		version: opts.Version,
		linger:  lastRequests,
		started: time.Now(),
		now:     time.Now,

		instance:  opts.Instance,
		hub:       &hub{store: st, linger: ringLinger},
		heartbeat: heartbeat,

		telemetry: opts.Telemetry,

		hasKey:  len(opts.Key) >= MinKey,
		keyHash: sha256.Sum256([]byte(opts.Key)),
		hosts:   namesOf(opts),
		mux:     http.NewServeMux(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.grace == 0 {
		s.grace = 10 * time.Second
	}
	s.api = newAPI(s.version)
	s.addRoutes()
	s.openAPI = encodeOpenAPI(s.api)
	s.docs = renderDocs(s.api)
	return s
}

// Handler returns the whole service as a handler.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Limits of a connection. A header holds a path of at most a type and an id,
// percent-encoded, and the key.
const (
	maxHeader         = 32 << 10
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	writeTimeout      = 2 * time.Minute
	idleTimeout       = 2 * time.Minute
)
