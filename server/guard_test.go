package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

func TestAuthorization(t *testing.T) {
	s := start(t)
	for value, want := range map[string]int{
		"Bearer " + testKey:                     200,
		"bearer " + testKey:                     200,
		"Bearer  " + testKey + " ":              200,
		"":                                      401,
		testKey:                                 401,
		"Bearer":                                401,
		"Bearer ":                               401,
		"Bearer " + testKey[1:]:                 401,
		"Bearer " + testKey + "x":               401,
		"Bearer " + strings.ToUpper(testKey):    401,
		"Basic " + testKey:                      401,
		"Bearer " + testKey + "," + testKey:     401,
		"Bearer " + strings.Repeat("x", 10_000): 401,
	} {
		a := s.want(want, "GET", "/status", "", "Authorization", value)
		if got := a.header.Get("Www-Authenticate"); (want == 401) != (got == `Bearer realm="poolkeeper"`) {
			t.Errorf("%q: WWW-Authenticate is %q", value, got)
		}
	}
	status, _, _ := raw(t, s, "GET "+base+"/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+testKey+"\r\nAuthorization: Bearer x\r\n\r\n")
	if status != 401 {
		t.Errorf("two keys: %d", status)
	}
	s.want(401, "GET", "/status?key="+testKey, "", "Authorization", "")
	s.want(401, "GET", "/no/such/path", "", "Authorization", "")
	s.want(401, "GET", "/pools//x", "", "Authorization", "")
	for path := range openPaths {
		if a := s.send("GET", path, "", "Authorization", ""); a.status != 200 {
			t.Errorf("%s without a key: %d", path, a.status)
		}
	}
}

// TestNoKey: a service without a usable key lets nobody in.
func TestNoKey(t *testing.T) {
	st := poolkeeper.New(memstore.New(nil), nil)
	for _, key := range []string{"", "short", strings.Repeat("x", MinKey-1)} {
		srv := New(st, &Options{Key: key})
		for _, value := range []string{"", "Bearer", "Bearer ", "Bearer " + key} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "http://localhost"+base+"/status", nil)
			r.Header.Set("Authorization", value)
			srv.Handler().ServeHTTP(w, r)
			if w.Code != 401 {
				t.Errorf("key %q, %q: %d", key, value, w.Code)
			}
		}
		if err := srv.Serve(context.Background(), listen(t)); poolkeeper.ClassOf(err).Code != "invalid" {
			t.Errorf("key %q: Serve: %v", key, err)
		}
	}
	if w := httptest.NewRecorder(); true {
		New(st, nil).Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+base+"/status", nil))
		if w.Code != 401 {
			t.Errorf("no options: %d", w.Code)
		}
	}
}

func TestHosts(t *testing.T) {
	st := poolkeeper.New(memstore.New(nil), nil)
	srv := New(st, &Options{Key: testKey, Addr: "pool.lan:8787", AllowedHosts: []string{"Proxy.Example", "[2001:db8::1]", "10.1.1.1"}})
	hs := httptest.NewServer(srv.Handler())
	defer hs.Close()
	s := &service{t: t, http: hs}
	for host, want := range map[string]int{
		"localhost": 200, "localhost:1": 200, "LOCALHOST": 200, "localhost.": 200, "localhost:65535": 200, "localhost.:8080": 200,
		"x.localhost": 403, "localhost:abc": 403, "localhost:": 403, "localhost:0": 403, "localhost:65536": 403, "localhost:+1": 403, "localhost:80:80": 403, "localhost..": 403,
		"[localhost]": 403, "[127.0.0.1]": 403, "[::1": 403, "::1": 403, "[::1]x": 403, "[::1]:": 403, "[::1]:x": 403, "[]": 403, "[pool.lan]": 403, ".localhost": 403,
		"127.0.0.1": 200, "127.9.9.9:80": 200, "[::1]": 200, "[::1]:8787": 200, "[::ffff:127.0.0.1]": 200,
		"pool.lan": 200, "pool.lan:8787": 200, "proxy.example": 200, "proxy.example:443": 200, "[2001:db8::1]:80": 200, "10.1.1.1": 200,
		"evil.example": 403, "localhost.evil.example": 403, "notlocalhost": 403, "10.1.1.2": 403, "192.168.0.1:8787": 403, "0.0.0.0": 403, "[2001:db8::2]": 403,
		"pool.lan.evil": 403, "127.0.0.1.evil.example": 403,
	} {
		for _, path := range []string{pathHealthz, pathOpenAPI} {
			if a := s.send("GET", path, "", "Host", host); a.status != want {
				t.Errorf("%s of host %q: %d, want %d", path, host, a.status, want)
			}
		}
	}
	if status, _, _ := raw(t, s, "GET /healthz HTTP/1.0\r\n\r\n"); status != 403 {
		t.Errorf("no host: %d", status)
	}
}

// TestLocalHost: a service on all addresses is called by the one that the
// connection came in on, and by no other.
func TestLocalHost(t *testing.T) {
	srv := New(poolkeeper.New(memstore.New(nil), nil), &Options{Key: testKey, Addr: "0.0.0.0:8787"})
	for host, want := range map[string]int{"192.168.7.7:8787": 200, "192.168.7.7": 200, "192.168.7.8:8787": 403, "0.0.0.0:8787": 403, "pool.lan:8787": 403} {
		r := httptest.NewRequest("GET", "http://"+host+pathHealthz, nil)
		local := &net.TCPAddr{IP: net.IPv4(192, 168, 7, 7), Port: 8787}
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
		w := httptest.NewRecorder()
		srv.Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", host, w.Code, want)
		}
	}
}

func TestOrigins(t *testing.T) {
	s := start(t)
	own := s.http.URL
	for origin, want := range map[string]int{
		own:                                      200,
		strings.Replace(own, "http", "https", 1): 403,
		"http://localhost":                       403,
		"http://127.0.0.1":                       403,
		"http://evil.example":                    403,
		"null":                                   403,
		"file://":                                403,
		own + ".evil.example":                    403,
		"%":                                      403,
		own + "/":                                403,
		own + "/x":                               403,
		strings.TrimPrefix(own, "http"):          403,
		strings.Replace(own, "://", "://x@", 1):  403,
		"ftp" + strings.TrimPrefix(own, "http"):  403,
	} {
		s.want(want, "GET", "/status", "", "Origin", origin)
		if a := s.send("GET", pathHealthz, "", "Origin", origin); a.status != want {
			t.Errorf("healthz from %q: %d, want %d", origin, a.status, want)
		}
	}
	// A proxy before a configured host may speak TLS.
	srv := New(poolkeeper.New(memstore.New(nil), nil), &Options{Key: testKey, Addr: "pool.lan:8787", AllowedHosts: []string{"pool.example"}})
	for _, c := range []struct {
		host, origin string
		want         int
	}{
		{"pool.example", "https://pool.example", 200}, {"pool.example:8443", "https://pool.example:8443", 200}, {"pool.example", "https://pool.example:443", 200},
		{"pool.example", "http://pool.example", 200}, {"pool.example", "https://pool.example:8443", 403}, {"pool.example", "http://pool.example:8080", 403},
		{"pool.example:8443", "https://pool.example", 403}, {"pool.example", "https://other.example", 403}, {"pool.example", "https://localhost", 403}, {"localhost", "https://localhost", 403},
		{"pool.lan:8787", "http://pool.lan:8787", 200}, {"pool.lan:8787", "https://pool.lan:8787", 403},
	} {
		if a := call(srv, "GET", pathHealthz, "", "Host", c.host, "Origin", c.origin); a.status != c.want {
			t.Errorf("%s from %s: %d, want %d", c.host, c.origin, a.status, c.want)
		}
	}
	// Default ports are the same as none.
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "http://localhost:80/healthz", nil)
	r.Header.Set("Origin", "http://localhost")
	s.http.Config.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("default port: %d", w.Code)
	}
}
