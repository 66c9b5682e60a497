package server

import (
	"net/http"

	"github.com/poolkeeper/poolkeeper"
)

// The paths outside the base path.
const (
	pathHealthz = "/healthz"
	pathReadyz  = "/readyz"
	pathOpenAPI = "/openapi.json"
	pathDocs    = "/docs"

	base = "/api/v1"

	// headerOnce is the header of an idempotency key.
	headerOnce = "Idempotency-Key"
)

// A route is one operation: how it is served, and how it is described. There is
// no other place where either is said.
type route struct {
	method, path string
	id, summary  string // of the operation in the OpenAPI document
	about        string // what the summary does not say
	tag          string
	open         bool     // needs no key
	keyless      bool     // needs no key where its body has what does as well
	storeless    bool     // no error of the store is its answer
	limited      bool     // too many failed attempts are refused
	conditional  bool     // honours If-Match, and If-None-Match: *
	once         bool     // honours Idempotency-Key
	codes        []string // of refusals that the rest does not tell
	query        []string // the names of its parameters, all of them true or false
	headers      []headerRule
	body         *bodyRule
	answer       answerRule
	handle       func(*exchange) error
}

// A headerRule is a header of a request that a route takes.
type headerRule struct {
	name, about string
	required    bool
	example     string
}

// addRoutes is the table of everything that the service answers.
func (s *Server) addRoutes() {
	for _, group := range [][]route{s.documentRoutes(), s.poolRoutes(), s.providerRoutes(), s.runtimeRoutes(), s.tokenRoutes(), s.accessRoutes(), s.backendRoutes(), s.instanceRoutes(), s.journalRoutes(), s.eventRoutes(), s.loginRoutes(), s.serviceRoutes(), s.metricRoutes()} {
		for i := range group {
			s.add(&group[i])
		}
	}
}

// add serves a route and describes it, in one step.
func (s *Server) add(rt *route) {
	s.api.AddOperation(rt.operation(s.api.Components.Schemas))
	s.mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) {
		x := w.(*exchange) // serve is the only way into the mux
		x.r, x.route = r, rt
		if err := x.run(); err != nil {
			x.fail(err)
		}
	})
	s.routes = append(s.routes, rt)
}

// run checks what all routes have in common, then calls the route.
func (x *exchange) run() error {
	if x.r.URL.RawQuery != "" {
		if err := x.checkQuery(); err != nil {
			return err
		}
	}
	if !x.route.conditional && x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		for _, name := range []string{"If-Match", "If-None-Match"} {
			if len(x.r.Header[name]) > 0 {
				return poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s is not honoured here", name).WithHint("leave the header out")
			}
		}
	}
	if given := x.r.Header[headerOnce]; len(given) > 0 {
		if !x.route.once {
			return poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s is not honoured here", headerOnce).WithHint("leave the header out")
		}
		if len(given) > 1 || given[0] == "" {
			return poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s is empty, or given twice", headerOnce)
		}
		x.once = given[0]
	}
	rule := x.route.body
	if rule == nil {
		rule = noBody
	}
	if err := x.readBody(rule); err != nil {
		return err
	}
	return x.route.handle(x)
}

// pathValue returns a type or id that stands in the path.
func (x *exchange) pathValue(name string) (string, error) {
	v := x.r.PathValue(name)
	if v == slashMark {
		return "/", nil
	}
	return poolkeeper.UnescapeSegment(v)
}

// typ returns the provider type that the path names.
func (x *exchange) typ() (string, error) { return x.pathValue("type") }

// ref returns the provider that the path names.
func (x *exchange) ref() (poolkeeper.Ref, error) {
	typ, err := x.pathValue("type")
	if err != nil {
		return poolkeeper.Ref{}, err
	}
	id, err := x.pathValue("id")
	if err != nil {
		return poolkeeper.Ref{}, err
	}
	return poolkeeper.Ref{Type: typ, ID: id}, nil
}

// providerPath is where a provider is to be found.
func providerPath(r poolkeeper.Ref) string {
	return base + "/pools/" + poolkeeper.EscapeSegment(r.Type) + "/" + poolkeeper.EscapeSegment(r.ID)
}
