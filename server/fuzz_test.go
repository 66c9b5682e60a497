package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// FuzzHTTP: whatever a client with the key sends, the answer is no fault of
// ours, an error is a problem, a refusal changes nothing, and all definitions
// stay valid.
func FuzzHTTP(f *testing.F) {
	for _, c := range [][6]string{
		{"GET", "/config", "", "", "", ""},
		{"PUT", "/config", `{"a":1}`, "application/json", "", "*"},
		{"PATCH", "/config", `[{"op":"add","path":"/x","value":null}]`, "application/json-patch+json", "", ""},
		{"PATCH", "/pools/t/a", `{"x":{"y":null}}`, "application/merge-patch+json", `"x"`, ""},
		{"GET", "/pools?definition=true", "", "", "", ""},
		{"PUT", "/pools/t?order=true", `["b","a","~1"]`, "application/json", "", ""},
		{"PUT", "/pools?order=true", `["t",""]`, "", "*", ""},
		{"PUT", "/pools/%7E", `[{"uuid":"x"},{},{},{"_id":"~1"}]`, "", "", "*"},
		{"POST", "/pools/t", `{"uuid":"c"}`, "application/json", "", ""},
		{"POST", "/pools/t/a/usage", `{"n":1}`, "application/json", "", ""},
		{"POST", "/pools/t/a%2Fb/usage", ``, "", "", ""},
		{"POST", "/pools/t/a/error", `{"message":"m","markUnhealthy":true,"recoverAt":"2030-01-01T00:00:00Z"}`, "application/json", "", ""},
		{"POST", "/pools/t/a/success", `{"n":1,"model":"m"}`, "application/json", "", ""},
		{"POST", "/pools/t/a/health", `{"healthy":false}`, "application/json; charset=utf-8", "", ""},
		{"POST", "/pools/t/a/refresh-state", `{"phase":"failed"}`, "application/json", "", ""},
		{"POST", "/pools/t/a/reset", `{"usage":true}`, "application/json", "", ""},
		{"POST", "/ops", `[{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"a","n":1},{"kind":"delete","key":{"kind":"config"},"if":"x"}]`, "application/json", "", ""},
		{"POST", "/load", `[{"kind":"provider","type":"t","name":"a"}]`, "application/json", "", ""},
		{"POST", "/import-mark", `{"run":"a","unfinished":true}`, "application/json", "", ""},
		{"POST", "/restore", "{\"snapshot\":1}\n{\"end\":0}\n", "application/x-ndjson", "", ""},
		{"POST", "/pools/t/a/rename", `{"id":"z"}`, "application/json", "", ""},
		{"PUT", "/tokens/t/a", `{"r":1}`, "", "", ""},
		{"PUT", "/password", `{"password":"123456789012"}`, "", "", ""},
		{"POST", "/password/verify", `{"password":"x"}`, "application/json", "", ""},
		{"PUT", "/sessions", `{"username":"admin"}`, "", "", ""},
		{"DELETE", "/pools/t/b", "", "", `"x"`, ""},
		{"OPTIONS", "/pools/%2F/%2e%2E", "", "", "", ""},
	} {
		f.Add(c[0], c[1], c[2], c[3], c[4], c[5])
	}
	srv := New(nil, &Options{Key: testKey})
	f.Fuzz(func(t *testing.T, method, target, body, contentType, match, none string) {
		u, err := url.ParseRequestURI(base + target)
		if err != nil || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return
		}
		snap := poolkeeper.NewSnapshot()
		pool := &poolkeeper.Pool{Type: "t"}
		for _, p := range [][2]string{{"a", `{"uuid":"a","usageCount":1.0}`}, {"b", `{"uuid":"b"}`}, {"~1", `{"name":"n"}`}} {
			pool.Providers = append(pool.Providers, poolkeeper.Provider{Ref: poolkeeper.Ref{Type: "t", ID: p[0]}, Definition: []byte(p[1])})
		}
		snap.AddPool(pool)
		snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{"MAX_ERROR_COUNT":3}`)}
		st := poolkeeper.New(memstore.New(nil), nil)
		defer st.Close()
		if err := st.Restore(context.Background(), snap); err != nil {
			t.Fatal(err)
		}
		s := &service{t: t, store: st}
		before := s.state()

		r := httptest.NewRequest(method, "http://localhost/", strings.NewReader(body))
		r.URL = u
		r.Header.Set("Authorization", "Bearer "+testKey)
		for name, value := range map[string]string{"Content-Type": contentType, "If-Match": match, "If-None-Match": none} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		srv.store = st // one at a time: to describe the API anew takes longer than all else
		srv.hub = hub{store: st}
		stopped, stop := context.WithCancel(context.Background())
		stop()
		srv.Handler().ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), stopping{}, stopped.Done()))) // a stream ends at once

		if w.Code >= 500 || w.Code < 200 {
			t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
		after := s.state()
		if w.Code >= 400 {
			if method != http.MethodHead {
				checkProblem(t, method+" "+target, answer{w.Code, w.Header(), w.Body.String()})
			}
			if after != before {
				t.Fatalf("%s %s: refused with %d, and changed the store", method, target, w.Code)
			}
			return
		}
		if method == http.MethodGet && after != before {
			t.Fatalf("GET %s changed the store", target)
		}
		now, _ := st.Snapshot(context.Background())
		for _, p := range now.Pools {
			for i := range p.Providers {
				if err := poolkeeper.ValidateDefinition(p.Providers[i].Definition); err != nil {
					t.Fatal(err)
				}
			}
		}
		// An op may carry a configuration that is damaged.
		if u.Path != base+"/ops" && rawjson.Valid(now.Values[poolkeeper.ConfigKey].Data) != nil {
			t.Fatal("the configuration is no JSON")
		}
	})
}
