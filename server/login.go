package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

const (
	pathLogin  = base + "/login"
	pathLogout = base + "/logout"

	cookieName  = "poolkeeper_session"
	sessionLife = 12 * time.Hour
	codeLife    = 10 * time.Minute
	maxSessions = 1000

	// Failed logins from one address: so many within the time, then none for it.
	maxFailures  = 10
	failureLife  = 5 * time.Minute
	maxAddresses = 10_000
)

type secretHash = [sha256.Size]byte

// logins are the browsers that are let in without showing the key each time. It
// is kept in memory: the end of the service logs everybody out.
type logins struct {
	mu        sync.Mutex
	code      secretHash
	codeUntil time.Time // zero where there is no code
	sessions  map[secretHash]time.Time
	failures  map[string]*failures // by address
}

// failures are those of one address.
type failures struct {
	n     int
	until time.Time
}

func randomSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// LoginCode makes a code that lets one browser log in, once and within ten
// minutes, and voids the one before it. It belongs into the fragment of a link,
// which no request carries.
func (s *Server) LoginCode() string {
	code := randomSecret()
	l := &s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	l.code, l.codeUntil = sha256.Sum256([]byte(code)), s.now().Add(codeLife)
	return code
}

// redeem reports whether a code is the one that was made, which it then no
// longer is.
func (l *logins) redeem(code string, now time.Time) bool {
	hash := sha256.Sum256([]byte(code))
	l.mu.Lock()
	defer l.mu.Unlock()
	if subtle.ConstantTimeCompare(hash[:], l.code[:]) != 1 || !now.Before(l.codeUntil) {
		return false
	}
	l.code, l.codeUntil = secretHash{}, time.Time{}
	return true
}

// open begins a session and returns what its cookie holds.
func (l *logins) open(now time.Time) string {
	secret := randomSecret()
	l.mu.Lock()
	defer l.mu.Unlock()
	var first secretHash
	for hash, until := range l.sessions {
		if !now.Before(until) {
			delete(l.sessions, hash)
		} else if end, ok := l.sessions[first]; !ok || until.Before(end) {
			first = hash
		}
	}
	if len(l.sessions) >= maxSessions { // the oldest makes room
		delete(l.sessions, first)
	}
	if l.sessions == nil {
		l.sessions = map[secretHash]time.Time{}
	}
	l.sessions[sha256.Sum256([]byte(secret))] = now.Add(sessionLife)
	return secret
}

// valid reports whether a cookie is that of a session that has not ended.
func (l *logins) valid(secret string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, ok := l.sessions[sha256.Sum256([]byte(secret))]
	return ok && now.Before(until)
}

func (l *logins) end(secret string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, sha256.Sum256([]byte(secret)))
}

// barred returns how long an address must wait that has failed too often.
func (l *logins) barred(addr string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.failures[addr]; f != nil && f.n >= maxFailures && now.Before(f.until) {
		return f.until.Sub(now)
	}
	return 0
}

// failed takes note of a failed login.
func (l *logins) failed(addr string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) >= maxAddresses {
		for a, f := range l.failures {
			if !now.Before(f.until) {
				delete(l.failures, a)
			}
		}
		if len(l.failures) >= maxAddresses {
			addr = "" // all further ones together
		}
	}
	f := l.failures[addr]
	if f == nil || !now.Before(f.until) {
		if l.failures == nil {
			l.failures = map[string]*failures{}
		}
		f = &failures{until: now.Add(failureLife)}
		l.failures[addr] = f
	}
	f.n++
}

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
		{method: http.MethodPost, path: pathLogin, id: "login", summary: "Exchange a one-time code, or the key, for a cookie", tag: tag, keyless: true,
			body:   &bodyRule{kind: smallBody, limit: maxTiny, optional: true, schema: loginBody{}},
			answer: answerRule{kind: jsonAnswer, about: "the cookie is set", schema: loginReport{}}, handle: s.login},
		{method: http.MethodPost, path: pathLogout, id: "logout", summary: "End the session of the cookie", tag: tag,
			answer: answerRule{kind: jsonAnswer, about: "there is none any more", schema: loginReport{}}, handle: s.logout},
	}
}

func (s *Server) login(x *exchange) error {
	now, addr := s.now(), remoteHost(x.r)
	if wait := s.logins.barred(addr, now); wait > 0 {
		x.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		return &refusal{status: http.StatusTooManyRequests,
			error: poolkeeper.Errorf(poolkeeper.ErrForbidden, "too many failed logins").WithHint("wait as long as Retry-After says")}
	}
	var b loginBody
	if err := x.decode(&b); err != nil {
		return err
	}
	switch {
	case len(x.r.Header["Authorization"]) > 0:
		if err := s.authorizeKey(x.r); err != nil {
			s.logins.failed(addr, now)
			return err
		}
	case b.Code == "" || !s.hasKey || !s.logins.redeem(b.Code, now):
		s.logins.failed(addr, now)
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
