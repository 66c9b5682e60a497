package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A silent Telemetry makes GET /metrics be there.
type silent struct{}

func (silent) Request(string, string, int, time.Duration) {}
func (silent) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = []string{"text/plain"} })
}

// seedRoutes adds each operation of the document with its examples: a path that is
// added is fuzzed.
func seedRoutes(f *testing.F, srv *Server) {
	for _, op := range operations(srv) {
		target, headers := op.Path, ""
		for _, p := range op.Parameters {
			switch {
			case p.In == "path":
				target = strings.ReplaceAll(target, "{"+p.Name+"}", map[string]string{"type": "t", "id": "a", "name": "plugins.json"}[p.Name])
			case p.In == "header" && p.Example != nil:
				headers += p.Name + ": " + exampleText(p.Example) + "\n"
			case p.In == "header":
				f.Add(op.Method, target, p.Name+": *", "", false)
			case p.In == "query":
				f.Add(op.Method, target+"?"+p.Name+"=true", "", "", false)
			}
		}
		if op.RequestBody == nil {
			f.Add(op.Method, target, headers, "", false)
			continue
		}
		for media, m := range op.RequestBody.Content {
			body := exampleText(m.Example)
			if raw, ok := m.Example.(json.RawMessage); ok {
				body = string(raw)
			}
			f.Add(op.Method, target, headers+"Content-Type: "+media, body, op.OperationID == "restore")
		}
	}
}

// FuzzHTTP: whatever a client with the key sends, the answer is no fault of
// ours and one that is documented, an error is a problem, a refusal and a read
// change nothing, and all definitions stay valid. Headers are lines; empty is a
// store that is not initialised.
func FuzzHTTP(f *testing.F) {
	srv := New(nil, &Options{Key: testKey, Telemetry: silent{}})
	seedRoutes(f, srv)
	const jsonBody = "Content-Type: application/json\n"
	for _, c := range [][4]string{
		{"PUT", "/config", "If-None-Match: *", `{"a":1}`},
		{"PATCH", "/config", "Content-Type: application/json-patch+json", `[{"op":"add","path":"/x","value":null}]`},
		{"PATCH", "/pools/t/a", "Content-Type: application/merge-patch+json\nIf-Match: \"x\"", `{"x":{"y":null}}`},
		{"GET", "/pools?definition=true", "", ""},
		{"PUT", "/pools/t?order=true", jsonBody, `["b","a","~1"]`},
		{"PUT", "/pools?order=true", "If-Match: *", `["t",""]`},
		{"PUT", "/pools/%7E", "", `[{"uuid":"x"},{},{},{"_id":"~1"}]`},
		{"POST", "/pools/t", jsonBody, `{"uuid":"c"}`},
		{"POST", "/pools/t/a%2Fb/usage", "Idempotency-Key: k", ``},
		{"POST", "/pools/t/a/usage", jsonBody + "Idempotency-Key: k", `{"n":2}`},
		{"POST", "/pools/t/a/error", jsonBody, `{"message":"m","markUnhealthy":true,"recoverAt":"2030-01-01T00:00:00Z"}`},
		{"POST", "/pools/t/a/success", jsonBody, `{"n":1,"model":"m"}`},
		{"POST", "/pools/t/a/health", "Content-Type: application/json; charset=utf-8", `{"healthy":false}`},
		{"POST", "/pools/t/a/refresh-state", jsonBody, `{"phase":"failed"}`},
		{"POST", "/ops", jsonBody, `[{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1},{"kind":"delete","key":{"kind":"config"},"if":"x"}]`},
		{"POST", "/load", jsonBody, `[{"kind":"provider","type":"t","name":"a"}]`},
		{"POST", "/restore", "Content-Type: application/x-ndjson", "{\"snapshot\":1}\n{\"end\":0}\n"},
		{"POST", "/pools/t/a/rename", jsonBody, `{"id":"z"}`},
		{"PUT", "/tokens/t/a", "", `{"r":1}`},
		{"PUT", "/sessions", "Session-Bearer: a%00b\nSession-Expires: 2030-01-01T00:00:00Z", `{"username":"admin"}`},
		{"POST", "/login", "Authorization: Bearer x", ``},
		{"POST", "/login", "Cookie: " + cookieName + "=x\nOrigin: http://localhost", `{"code":"x"}`},
		{"DELETE", "/pools/t/b", "If-Match: \"x\"", ""},
		{"OPTIONS", "/pools/%2F/%2e%2E", "", ""},
		{"HEAD", "/pools/t", "If-None-Match: *", ""},
	} {
		f.Add(c[0], base+c[1], c[2], c[3], false)
	}
	f.Fuzz(func(t *testing.T, method, target, headers, body string, empty bool) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return // what net/http does not hand on
		}
		r := httptest.NewRequest(method, "http://localhost/", strings.NewReader(body))
		r.URL = u
		r.Header.Set("Authorization", "Bearer "+testKey)
		for line := range strings.SplitSeq(headers, "\n") {
			name, value, ok := strings.Cut(line, ":")
			value = strings.Trim(value, " \t")
			if !ok || !isToken(name) || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				continue // net/http refuses it
			}
			if name = textproto.CanonicalMIMEHeaderKey(name); name == "Host" {
				r.Host = value
			} else if name == "Authorization" {
				r.Header.Set(name, value)
			} else {
				r.Header.Add(name, value)
			}
		}
		s := &service{t: t, store: fuzzStore(t, empty)}
		defer s.store.Close()
		before := s.contents()
		w := httptest.NewRecorder()
		// One at a time: to describe the API anew takes longer than all else.
		srv.store, srv.hub, srv.logins, srv.passwords = s.store, &hub{store: s.store}, logins{}, attempts{}
		stopped, stop := context.WithCancel(context.Background())
		stop()
		srv.Handler().ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), stopping{}, stopped.Done()))) // a stream ends at once
		a := answer{w.Code, w.Header(), w.Body.String()}
		what := method + " " + target
		after := s.contents()

		uninitialized := empty && strings.Contains(a.body, `"code":"uninitialized"`) || empty && u.Path == pathReadyz && a.status == 503 || empty && method == http.MethodHead && a.status == 503
		if (a.status >= 500 && !uninitialized) || a.status < 200 {
			t.Fatalf("%s: %d %s", what, a.status, a.body)
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d may be cached", what, a.status)
		}
		for name, values := range a.header {
			if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
				t.Fatalf("%s: header %q is %q", what, name, values)
			}
		}
		srvOf := *s
		srvOf.srv = srv
		srvOf.checkDocumented(&http.Response{Request: r}, a)
		if a.status >= 400 {
			if method != http.MethodHead {
				checkProblem(t, what, a)
			}
			if after != before {
				t.Fatalf("%s: refused with %d, and changed the store", what, a.status)
			}
			return
		}
		if (method == http.MethodGet || method == http.MethodHead) && after != before {
			t.Fatalf("%s changed the store", what)
		}
		checkStored(t, s.store, u.Path)
	})
}

// isToken reports whether net/http takes the name of a header.
func isToken(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~") == ""
}

// fuzzStore has a little of everything, or is not initialised.
func fuzzStore(t *testing.T, empty bool) *poolkeeper.Store {
	st := poolkeeper.New(memstore.New(nil), nil)
	if empty {
		return st
	}
	snap := poolkeeper.NewSnapshot()
	pool := &poolkeeper.Pool{Type: "t"}
	for _, p := range [][2]string{{"a", `{"uuid":"a","usageCount":1.0}`}, {"b", `{"uuid":"b"}`}, {"~1", `{"name":"n"}`}} {
		pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "t", ID: p[0]}, Definition: []byte(p[1])})
	}
	snap.AddPool(pool)
	snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{"MAX_ERROR_COUNT":3}`)}
	snap.Values[poolkeeper.DocumentKey("plugins.json")] = poolkeeper.Document{Data: []byte(`{"plugins":{}}`)}
	snap.Values[poolkeeper.PasswordKey] = poolkeeper.Document{Data: []byte("correct horse")}
	if err := st.Restore(context.Background(), snap); err != nil {
		t.Fatal(err)
	}
	return st
}

// contents is the state, also of a store that is not initialised.
func (s *service) contents() string {
	if _, err := s.store.Types(context.Background()); errors.Is(err, poolkeeper.ErrUninitialized) {
		return "uninitialised"
	}
	return s.state()
}

// checkStored holds what is stored to what may be.
func checkStored(t *testing.T, st *poolkeeper.Store, path string) {
	t.Helper()
	now, err := st.Snapshot(context.Background())
	if errors.Is(err, poolkeeper.ErrUninitialized) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range now.Pools {
		for i := range p.Providers {
			if err := poolkeeper.ValidateDefinition(p.Providers[i].Definition); err != nil {
				t.Fatal(err)
			}
		}
	}
	// An op or a snapshot may carry a configuration that is damaged.
	if d, ok := now.Values[poolkeeper.ConfigKey]; ok && path != base+"/ops" && path != base+"/restore" && rawjson.Valid(d.Data) != nil {
		t.Fatal("the configuration is no JSON")
	}
}
