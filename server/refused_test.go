package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// call makes a request to a server without a connection.
func call(srv *Server, method, path, body string, headers ...string) answer {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	srv.Handler().ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// openPaths are those that need no key: health, and the descriptions of the API.
var openPaths = map[string]bool{pathHealthz: true, pathReadyz: true, pathOpenAPI: true, pathDocs: true}

// TestRefusedEverywhere walks the document that the service answers: whoever shows
// no key, a wrong or empty one, or a session that has ended, or comes under another
// host or from another origin, is refused on every path, and changes nothing. A
// path that is added is in the document, and so in this test.
func TestRefusedEverywhere(t *testing.T) {
	b := memstore.New(nil)
	st := poolkeeper.New(b, nil)
	if err := st.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := st.AddProvider(t.Context(), "t", []byte(`{"uuid":"a"}`)); err != nil {
		t.Fatal(err)
	}
	srv := New(st, &Options{Key: testKey})
	live := srv.logins.open(time.Now())
	past := srv.logins.open(time.Now().Add(-sessionLife)) // after it: an expired one is forgotten by the next
	key := "Bearer " + testKey
	refused := map[string][]string{
		"no key":                      {},
		"a wrong key":                 {"Authorization", "Bearer wrong-key-0123456789"},
		"an empty key":                {"Authorization", "Bearer "},
		"an empty header":             {"Authorization", ""},
		"another scheme":              {"Authorization", "Basic " + testKey},
		"the key in a cookie":         {"Cookie", cookieName + "=" + testKey},
		"an expired session":          {"Cookie", cookieName + "=" + past},
		"an empty session":            {"Cookie", cookieName + "="},
		"a wrong key and a session":   {"Authorization", "Bearer wrong-key-0123456789", "Cookie", cookieName + "=" + live},
		"a session from another port": {"Cookie", cookieName + "=" + live, "Sec-Fetch-Site", "same-site"},
	}
	foreign := map[string][]string{
		"another host":                 {"Authorization", key, "Host", "evil.example"},
		"no host":                      {"Authorization", key, "Host", ""},
		"another origin":               {"Authorization", key, "Origin", "http://evil.example"},
		"no origin at all":             {"Authorization", key, "Origin", "null"},
		"another origin, by a session": {"Cookie", cookieName + "=" + live, "Origin", "http://localhost:1"},
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(call(srv, "GET", pathOpenAPI, "").body), &doc); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("{type}", "t", "{id}", "a", "{name}", "n")
	before := (&service{t: t, store: st}).state()
	walk := func(do func(method, path, body string)) {
		for path, methods := range doc.Paths {
			for method := range methods {
				for _, body := range []string{"", "{}", "[]"} {
					do(strings.ToUpper(method), fill.Replace(path), body)
				}
			}
		}
	}
	n := 0
	walk(func(method, path, body string) {
		n++
		for name, headers := range refused {
			srv.logins.tries = attempts{} // the limit is another test's
			a := call(srv, method, path, body, append(headers, "Content-Type", typeJSON)...)
			switch {
			case openPaths[path]:
				if a.status != http.StatusOK {
					t.Errorf("%s %s with %s: %d, and it is open", method, path, name, a.status)
				}
			case path == pathLogin && body == "[]": // it has no credentials of any kind
				if a.status != 400 && a.status != 401 {
					t.Errorf("%s %s with %s: %d", method, path, name, a.status)
				}
			case a.status != 401 && !(name == "a session from another port" && a.status == 403):
				t.Errorf("%s %s with %s: %d", method, path, name, a.status)
			}
			if len(a.header["Set-Cookie"]) > 0 {
				t.Errorf("%s %s with %s: a cookie is set", method, path, name)
			}
		}
		for name, headers := range foreign {
			if a := call(srv, method, path, body, append(headers, "Content-Type", typeJSON)...); a.status != 403 {
				t.Errorf("%s %s from %s: %d", method, path, name, a.status)
			}
		}
	})
	if n < 100 {
		t.Errorf("only %d requests of the document", n)
	}
	equal(t, "state", (&service{t: t, store: st}).state(), before)

	// With the store away nobody is let in who was not, and nothing is answered
	// as if it were there.
	st.Close()
	walk(func(method, path, body string) {
		srv.logins.tries = attempts{}
		if a := call(srv, method, path, body, "Content-Type", typeJSON); !openPaths[path] && a.status != 401 && !(path == pathLogin && a.status == 400) {
			t.Errorf("%s %s with the store away: %d", method, path, a.status)
		}
		switch path {
		case pathHealthz, pathOpenAPI, pathDocs, pathLogin, pathLogout, base + "/instance", base + "/flush":
			return // they do without it
		case base + "/ops":
			if body == "[]" {
				return // no ops, no refusal
			}
		}
		if a := call(srv, method, path, body, "Authorization", key, "Content-Type", typeJSON); a.status < 400 {
			t.Errorf("%s %s %q with the store away and the key: %d", method, path, body, a.status)
		}
	})
}
