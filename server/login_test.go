package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// loginService is a service whose clock a test sets.
func loginService(t *testing.T) (s *service, srv *Server, advance func(time.Duration)) {
	t.Helper()
	st := poolkeeper.New(memstore.New(nil), nil)
	if err := st.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s = startOver(t, st)
	now := time.Now()
	s.srv.now = func() time.Time { return now }
	return s, s.srv, func(d time.Duration) { now = now.Add(d) }
}

// cookieOf returns the cookie that an answer sets, as a browser sends it.
func cookieOf(t *testing.T, a answer) string {
	t.Helper()
	res := http.Response{Header: a.header}
	if len(res.Cookies()) != 1 {
		t.Fatalf("cookies: %v", a.header["Set-Cookie"])
	}
	c := res.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("the cookie is %s", a.header.Get("Set-Cookie"))
	}
	return c.Name + "=" + c.Value
}

// TestLogin: a code lets one browser in, once; its cookie does until the session
// ends.
func TestLogin(t *testing.T) {
	s, srv, advance := loginService(t)
	first := srv.LoginCode()
	code := srv.LoginCode()
	login := func(status int, body string, headers ...string) answer {
		t.Helper()
		return s.want(status, "POST", "/login", body, append([]string{"Authorization", ""}, headers...)...)
	}
	for _, body := range []string{"", "{}", `{"code":""}`, `{"code":"` + first + `"}`, `{"code":"` + code + `x"}`} {
		login(401, body)
	}
	login(400, `{"code":1}`)
	login(400, `{"code":"`+code+`","more":1}`)
	login(403, `{"code":"`+code+`"}`, "Origin", "http://evil.example")
	a := login(200, `{"code":"`+code+`"}`)
	cookie := cookieOf(t, a)
	login(401, `{"code":"`+code+`"}`) // it was used

	with := func(status int, method, path string, headers ...string) answer {
		t.Helper()
		return s.want(status, method, path, "", append([]string{"Authorization", "", "Cookie", cookie}, headers...)...)
	}
	with(200, "GET", "/status")
	with(200, "GET", "/status", "Sec-Fetch-Site", "same-origin")
	with(401, "GET", "/status", "Cookie", cookie+"x")
	with(401, "GET", "/status", "Cookie", cookieName+"=")
	with(401, "GET", "/status", "Cookie", "other=1")
	with(401, "GET", "/status", "Authorization", "Bearer wrong-key-0123456789") // a key that is shown counts alone
	// A page on another port is the same site to a browser, which sends the cookie.
	with(403, "GET", "/status", "Sec-Fetch-Site", "same-site")
	with(403, "GET", "/status", "Sec-Fetch-Site", "cross-site")
	with(403, "DELETE", "/documents/x")
	with(403, "DELETE", "/documents/x", "Sec-Fetch-Site", "none")
	with(404, "DELETE", "/documents/x", "Origin", s.http.URL)
	with(404, "DELETE", "/documents/x", "Sec-Fetch-Site", "same-origin")

	advance(sessionLife - time.Second)
	with(200, "GET", "/status")
	advance(time.Second)
	with(401, "GET", "/status")

	late := srv.LoginCode()
	advance(codeLife)
	login(401, `{"code":"`+late+`"}`)

	// With the key instead of a code; and out again.
	cookie = cookieOf(t, s.want(200, "POST", "/login", ""))
	with(200, "GET", "/status")
	if out := cookieOf(t, with(200, "POST", "/logout", "Origin", s.http.URL)); out != cookieName+"=" {
		t.Errorf("logout sets %s", out)
	}
	with(401, "GET", "/status")
	for _, secret := range []string{code, first, late, strings.TrimPrefix(cookie, cookieName+"=")} {
		if strings.Contains(s.log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

// TestLoginLimits: who fails too often waits, with the right code too; others do
// not.
func TestLoginLimits(t *testing.T) {
	s, srv, advance := loginService(t)
	code := srv.LoginCode()
	fail := func(status int) answer {
		t.Helper()
		return s.want(status, "POST", "/login", `{"code":"wrong"}`, "Authorization", "")
	}
	for range maxFailures - 1 {
		fail(401)
	}
	s.want(401, "POST", "/login", "", "Authorization", "Bearer wrong-key-0123456789")
	a := fail(429)
	if a.header.Get("Retry-After") == "" {
		t.Error("it does not say how long to wait")
	}
	s.want(429, "POST", "/login", `{"code":"`+code+`"}`, "Authorization", "")
	s.want(429, "POST", "/login", "")
	s.want(200, "GET", "/status", "") // who has the key goes on
	if _, wait := srv.logins.tries.begin("192.0.2.1", maxFailures, srv.now()); wait != 0 {
		t.Error("another address waits as well")
	}
	advance(failureLife)
	s.want(200, "POST", "/login", `{"code":"`+code+`"}`, "Authorization", "")
}

// TestLoginBounds: neither sessions nor addresses grow without end.
func TestLoginBounds(t *testing.T) {
	var l logins
	now := time.Now()
	first := l.open(now)
	for i := range maxSessions {
		l.open(now.Add(time.Duration(i+1) * time.Millisecond))
	}
	if l.valid(first, now) || len(l.sessions) != maxSessions {
		t.Errorf("%d sessions, and the oldest is valid: %v", len(l.sessions), l.valid(first, now))
	}
	l.open(now.Add(2 * sessionLife))
	if len(l.sessions) != 1 {
		t.Errorf("%d sessions after all have ended but one", len(l.sessions))
	}
	var a attempts
	for i := range maxTriers + 100 {
		if end, _ := a.begin(time.Duration(i).String(), maxFailures, now); end != nil {
			end(true)
		}
	}
	if len(a.by) > maxTriers+1 {
		t.Errorf("%d addresses", len(a.by))
	}
	// Of the addresses beyond, one pays for the other; it ends with the time.
	if _, wait := a.begin("one more", maxFailures, now); wait != failureLife {
		t.Errorf("the addresses beyond wait %v", wait)
	}
	if end, _ := a.begin("one more", maxFailures, now.Add(failureLife)); end == nil || len(a.by) != 1 {
		t.Errorf("%d addresses after the time", len(a.by))
	}
}

// TestLoginWithoutKey: a service without a usable key lets nobody log in.
func TestLoginWithoutKey(t *testing.T) {
	srv := New(poolkeeper.New(memstore.New(nil), nil), nil)
	for _, code := range []string{srv.LoginCode(), ""} {
		a := call(srv, "POST", pathLogin, `{"code":"`+code+`"}`, "Content-Type", typeJSON)
		if a.status != 401 || len(a.header["Set-Cookie"]) != 0 {
			t.Errorf("%d %v", a.status, a.header)
		}
	}
}
