package server

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// An exchange is one request with its answer. It is what the mux gets as the
// ResponseWriter, so that the answers of the mux itself become problems too.
type exchange struct {
	s       *Server
	inner   http.ResponseWriter
	r       *http.Request
	route   *route // nil until a route has taken the request
	start   time.Time
	status  int           // 0 until the answer has begun
	began   time.Duration // how long a stream took to begin
	once    string        // the idempotency key
	swallow bool          // what follows is the mux's own text
	body    []byte
	use     usageBody // that of a usage, where it is at hand
	lines   io.Reader // the body of a linesBody
	scratch [512]byte // holds a small body, or a small answer
}

// Header values that are the same for all answers; net/http only reads them.
var (
	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
	jsonType    = []string{"application/json"}
	linesType   = []string{typeLines}
	problemType = []string{"application/problem+json"}
	opaqueType  = []string{"application/octet-stream"}
	challenge   = []string{`Bearer realm="poolkeeper"`}
)

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Cache-Control"), "no-cache") {
		r = r.WithContext(poolkeeper.ReadCurrent(r.Context()))
	}
	x := &exchange{s: s, inner: w, r: r, start: time.Now()}
	defer x.finish()
	h := w.Header()
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniff
	if err := s.admit(r); err != nil {
		x.fail(err)
		return
	}
	if x.r = routable(r); x.r == nil {
		x.r = r
		x.fail(poolkeeper.Errorf(poolkeeper.ErrNotFound, "the path has an empty or dot segment").
			WithHint("~ stands for the empty type; all else is percent-encoded"))
		return
	}
	s.mux.ServeHTTP(x, x.r)
}

// slashMark is what an id or type of one slash is called between here and
// [segment]. No client can mean anything else by it: a leading ~ is doubled.
const slashMark = "~/"

// routable returns the request in the form that the mux takes as it is, or nil
// where the mux would clean the path and redirect. Paths hold ids: they mean
// what they say. A segment that is one encoded slash would be a trailing slash
// to the mux, so it goes by another name.
func routable(r *http.Request) *http.Request {
	p := r.URL.EscapedPath()
	if path.Clean(p) != p {
		return nil
	}
	if !strings.Contains(p, "%2F") && !strings.Contains(p, "%2f") {
		return r
	}
	segments := strings.Split(p, "/")
	for i, seg := range segments {
		if strings.EqualFold(seg, "%2F") {
			segments[i] = "~%2F"
		}
	}
	u := *r.URL
	u.RawPath = strings.Join(segments, "/")
	// RawPath counts only where it is an encoding of Path.
	u.Path, _ = url.PathUnescape(u.RawPath)
	next := *r
	next.URL = &u
	return &next
}

// Header, Write and WriteHeader make the exchange a ResponseWriter.
func (x *exchange) Header() http.Header { return x.inner.Header() }

func (x *exchange) Write(b []byte) (int, error) {
	if x.swallow {
		return len(b), nil
	}
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	return x.inner.Write(b)
}

func (x *exchange) WriteHeader(status int) {
	if x.status != 0 {
		return
	}
	if x.route == nil { // the mux found no route
		x.swallow = true
		x.unrouted(status)
		return
	}
	x.status = status
	x.inner.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.inner }

func (x *exchange) unrouted(status int) {
	x.Header().Del("Location")
	if status == http.StatusMethodNotAllowed {
		x.fail(refuse(status, "the Allow header names the methods", "there is no method %s here", clip(x.r.Method)))
		return
	}
	x.fail(poolkeeper.Errorf(poolkeeper.ErrNotFound, "there is no such path").WithHint("/docs and /openapi.json list the paths"))
}

// fail answers with the problem that an error is.
func (x *exchange) fail(err error) {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		x.s.log.Error("request failed", "method", x.r.Method, "route", x.pattern(), "error", err)
	}
	if p.Status == http.StatusUnauthorized {
		x.Header()["Www-Authenticate"] = challenge
	}
	x.send(p.Status, problemType, p.encode())
}

// send writes the whole answer.
func (x *exchange) send(status int, contentType []string, body []byte) {
	x.status = status
	h := x.inner.Header()
	h["Content-Type"] = contentType
	// The length of a short body is counted by net/http.
	if len(body) > len(x.scratch) || x.r.Method == http.MethodHead {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	x.inner.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		// A client that is gone has no use for the error.
		_, _ = x.inner.Write(body)
	}
}

// finish ends the exchange: it answers where the handler panicked, and logs.
func (x *exchange) finish() {
	v := recover()
	if v == http.ErrAbortHandler {
		panic(v)
	}
	if v != nil {
		// The value may be anything, a document too; the stack says where.
		what := fmt.Sprintf("%T", v)
		if e, ok := v.(runtime.Error); ok {
			what = e.Error()
		}
		x.s.log.Error("handler panicked", "method", x.r.Method, "route", x.pattern(), "panic", what, "stack", string(debug.Stack()))
		if x.status != 0 {
			panic(http.ErrAbortHandler) // half an answer must not look like one
		}
		p := problemOf(poolkeeper.ErrInternal)
		x.send(p.Status, problemType, p.encode())
	}
	took := time.Since(x.start)
	if x.s.telemetry != nil {
		if x.began > 0 { // how long it lasted says nothing of how quick the service is
			took = x.began
		}
		x.s.telemetry.Request(x.pattern(), x.r.Method, x.status, took)
	}
	level := slog.LevelDebug
	if x.status >= http.StatusInternalServerError {
		level = slog.LevelInfo
	}
	ctx := x.r.Context()
	if x.s.log.Enabled(ctx, level) {
		x.s.log.LogAttrs(ctx, level, "request", slog.String("method", clip(x.r.Method)), slog.String("route", x.pattern()),
			slog.Int("status", x.status), slog.Float64("durationMs", millis(time.Since(x.start))))
	}
}

// millis is a time in milliseconds, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// pattern names the route for the log; never the path, which may hold anything.
func (x *exchange) pattern() string {
	if x.route == nil {
		return "none"
	}
	return x.route.path
}

// clip shortens what a client sent for the sake of an error.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
