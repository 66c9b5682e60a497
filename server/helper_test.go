package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

const testKey = "test-key-0123456789"

// A service is a Server over memstore behind a real listener.
type service struct {
	t     *testing.T
	store *poolkeeper.Store
	srv   *Server
	http  *httptest.Server
	log   *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start serves an initialised store that holds nothing.
func start(t *testing.T) *service {
	t.Helper()
	st := poolkeeper.New(memstore.New(nil), nil)
	if err := st.Restore(context.Background(), poolkeeper.NewSnapshot()); err != nil {
		t.Fatal(err)
	}
	return startOver(t, st)
}

func startOver(t *testing.T, st *poolkeeper.Store) *service {
	t.Helper()
	s := &service{t: t, store: st, log: &logBuffer{}}
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.srv = New(st, &Options{Key: testKey, Logger: logger, Version: "1.2.3"})
	s.http = httptest.NewServer(s.srv.Handler())
	t.Cleanup(func() {
		s.http.Close()
		st.Close()
	})
	return s
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// field returns a member of the body as JSON text.
func (a answer) field(t *testing.T, name string) string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("body is no object: %v\n%s", err, a.body)
	}
	return string(m[name])
}

// do sends a request below the base path; headers are pairs, and replace those
// that are sent by default: the key, and JSON where there is a body.
func (s *service) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	return s.send(method, base+path, body, headers...)
}

func (s *service) send(method, path, body string, headers ...string) answer {
	s.t.Helper()
	res, text, err := s.try(method, path, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header, text}
	if res.StatusCode >= 400 && method != http.MethodHead {
		checkProblem(s.t, method+" "+path, a)
	}
	s.checkDocumented(res, a)
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		s.t.Errorf("%s %s: Cache-Control is %q", method, path, got)
	}
	return a
}

// try sends a request that may fail.
func (s *service) try(method, path, body string, headers ...string) (*http.Response, string, error) {
	s.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, s.http.URL+path, r)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		switch name, value := headers[i], headers[i+1]; {
		case name == "Host":
			req.Host = value
		case value == "":
			req.Header.Del(name)
		default:
			req.Header.Set(name, value)
		}
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

// checkProblem holds every error to the one shape.
func checkProblem(t *testing.T, what string, a answer) {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("%s: %d with content type %q\n%s", what, a.status, got, a.body)
	}
	var p problem
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		t.Fatalf("%s: %d is no problem: %v\n%s", what, a.status, err, a.body)
	}
	class, ok := poolkeeper.ClassOfCode(p.Code)
	if !ok || p.Status != a.status || p.Title == "" || p.Detail == "" || p.Type != "urn:poolkeeper:problem:"+p.Code {
		t.Errorf("%s: %d with an odd problem: %s", what, a.status, a.body)
	}
	if class.Status != a.status && !(p.Code == "invalid" && (a.status == 405 || a.status == 415)) && !(p.Code == "forbidden" && a.status == 429) {
		t.Errorf("%s: status %d does not go with code %s", what, a.status, p.Code)
	}
}

// checkDocumented holds the answer of a route to the statuses and codes that its
// operation names.
func (s *service) checkDocumented(res *http.Response, a answer) {
	s.t.Helper()
	if s.srv == nil || res.Request.Method == http.MethodHead || routable(res.Request) == nil {
		return
	}
	_, pattern := s.srv.mux.Handler(routable(res.Request))
	for _, rt := range s.srv.routes {
		if rt.method+" "+rt.path != pattern {
			continue
		}
		r := rt.operation(s.srv.api.Components.Schemas).Responses[strconv.Itoa(a.status)]
		if r == nil {
			s.t.Errorf("%s answers %d, and that is not documented", pattern, a.status)
		} else if a.status >= 400 && !slices.Contains(rt.refusals()[a.status], strings.Trim(a.field(s.t, "code"), `"`)) {
			s.t.Errorf("%s answers %d as it is not documented: %s", pattern, a.status, a.body)
		}
	}
}

// want sends a request and checks the status.
func (s *service) want(status int, method, path, body string, headers ...string) answer {
	s.t.Helper()
	a := s.do(method, path, body, headers...)
	if a.status != status {
		s.t.Fatalf("%s %s: %d, want %d\n%s", method, path, a.status, status, a.body)
	}
	return a
}

// state is everything in the store, to be compared.
func (s *service) state() string {
	s.t.Helper()
	snap, err := s.store.Snapshot(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for _, typ := range snap.Types {
		p := snap.Pools[typ]
		b.WriteString(poolkeeper.PoolKey(typ).String() + " " + p.Revision.String() + "\n")
		for i := range p.Providers {
			one, err := p.Providers[i].JSON()
			if err != nil {
				s.t.Fatal(err)
			}
			b.WriteString("  " + p.Providers[i].ID + " " + string(one) + "\n")
		}
	}
	for _, kind := range []poolkeeper.KeyKind{poolkeeper.KindConfig, poolkeeper.KindDocument, poolkeeper.KindToken, poolkeeper.KindTokenRefs, poolkeeper.KindPassword, poolkeeper.KindSession} {
		for _, k := range snap.KeysOf(kind) {
			b.WriteString(k.String() + " " + string(snap.Values[k].Data) + "\n")
		}
	}
	return b.String()
}

// equal compares texts.
func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// operations are those of the document, by method and path.
func operations(srv *Server) map[string]*huma.Operation {
	found := map[string]*huma.Operation{}
	for path, item := range srv.api.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Patch, item.Delete, item.Head, item.Options, item.Trace} {
			if op != nil {
				found[op.Method+" "+path] = op
			}
		}
	}
	return found
}

// emptyStore returns an initialised store that holds nothing.
func emptyStore(t *testing.T) *poolkeeper.Store {
	t.Helper()
	st := poolkeeper.New(memstore.New(nil), nil)
	t.Cleanup(func() { st.Close() })
	if err := st.Restore(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	return st
}
