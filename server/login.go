package server

import (
	"net"
	"net/http"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

const (
	pathLogin  = base + "/login"
	pathLogout = base + "/logout"

	cookieName = "poolkeeper_session"
)

// A loginBody is the body of login.
type loginBody struct {
	Code string `json:"code,omitempty" doc:"the one-time code of the link that the service printed; or the key in the Authorization header instead"`
}

func (b *loginBody) set(name string, raw []byte) error {
	if name == "code" {
		return readString(raw, &b.Code)
	}
	return errUnknownField
}

// A loginReport is the answer of login and logout.
type loginReport struct {
	ExpiresAt string `json:"expiresAt,omitempty" format:"date-time" doc:"when the session ends"`
}

func (s *Server) loginRoutes() []route {
	const tag = "login"
	return []route{
		{method: http.MethodPost, path: pathLogin, id: "login", summary: "Exchange a one-time code, or the key, for a cookie", tag: tag, keyless: true, storeless: true, limited: true,
			about:  "For browsers. The code is that of a link that the service made, and is used once; the key is shown as everywhere, without a body.",
			body:   &bodyRule{kind: smallBody, limit: maxTiny, optional: true, schema: loginBody{}, example: `{"code":"hV1mQ2c7"}`},
			answer: answerRule{kind: jsonAnswer, about: "the cookie is set", schema: loginReport{}, example: `{"expiresAt":"2026-06-01T13:00:00Z"}`}, handle: s.login},
		{method: http.MethodPost, path: pathLogout, id: "logout", summary: "End the session of the cookie", tag: tag, storeless: true,
			answer: answerRule{kind: jsonAnswer, about: "there is none any more", schema: loginReport{}, example: `{}`}, handle: s.logout},
	}
}

func (s *Server) login(x *exchange) error {
	now, failed := s.now(), false
	end, wait := s.logins.tries.begin(remoteHost(x.r), maxFailures, now)
	if wait > 0 {
		return x.tooMany(wait, "too many failed logins")
	}
	defer func() { end(failed) }()
	var b loginBody
	if err := x.decode(&b); err != nil {
		return err
	}
	switch {
	case len(x.r.Header["Authorization"]) > 0:
		if err := s.authorizeKey(x.r); err != nil {
			failed = true
			return err
		}
	case b.Code == "" || !s.hasKey || !s.logins.redeem(b.Code, now):
		failed = true
		return poolkeeper.Errorf(poolkeeper.ErrUnauthorized, "there is no such login code, or it was used, or its time is over").
			WithHint("start the service again for a new link, or show the key")
	}
	c := sessionCookie(x.r, s.logins.open(now))
	c.MaxAge = int(sessionLife.Seconds())
	http.SetCookie(x.inner, c)
	return x.sendValue(loginReport{ExpiresAt: now.Add(sessionLife).UTC().Format(time.RFC3339)})
}

func (s *Server) logout(x *exchange) error {
	if c, err := x.r.Cookie(cookieName); err == nil {
		s.logins.end(c.Value)
	}
	c := sessionCookie(x.r, "")
	c.MaxAge = -1
	http.SetCookie(x.inner, c)
	return x.sendValue(loginReport{})
}

// sessionCookie is read by no script and sent along by no other site.
func sessionCookie(r *http.Request, value string) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode}
}

// authorizeCookie lets a browser in that has logged in. A site on another port of
// the same host is the same site to browsers, which send the cookie along; so a
// write must say that it comes from a page of ours.
func (s *Server) authorizeCookie(r *http.Request, secret string) error {
	if !s.hasKey || !s.logins.valid(secret, s.now()) {
		return poolkeeper.Errorf(poolkeeper.ErrUnauthorized, "the session has ended").WithHint("log in again")
	}
	from := r.Header.Get("Sec-Fetch-Site")
	if from != "" && from != "same-origin" && from != "none" {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "requests from pages of another origin are refused")
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && from != "same-origin" && len(r.Header["Origin"]) == 0 {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "a write by cookie has no Origin").WithHint("show the key instead")
	}
	return nil
}

// remoteHost is where a request comes from, without the port.
func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "socket"
	}
	return host
}
