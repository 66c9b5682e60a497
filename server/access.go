package server

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
)

type (
	// A passwordBody is a password that is set.
	passwordBody struct {
		Password string `json:"password" doc:"the password; white space around it does not count"`
	}
	// A verifyBody is a password that somebody tries.
	verifyBody struct {
		Password string `json:"password" doc:"the password; white space around it does not count"`
		Client   string `json:"client,omitempty" maxLength:"256" doc:"who tries it, such as the address of the browser; whoever asks, where it is left out"`
	}
)

func (b *passwordBody) set(name string, raw []byte) error {
	if name == "password" {
		return readString(raw, &b.Password)
	}
	return errUnknownField
}

func (b *verifyBody) set(name string, raw []byte) error {
	switch name {
	case "password":
		return readString(raw, &b.Password)
	case "client":
		if err := readString(raw, &b.Client); err != nil {
			return err
		}
		if n := utf8.RuneCountInString(b.Client); n > maxClient {
			return fmt.Errorf("has %d characters, and %d are the most", n, maxClient)
		}
		return nil
	}
	return errUnknownField
}

// A verdict is the answer to a password that was tried.
type verdict struct {
	Valid bool `json:"valid" doc:"whether it is the one that is stored"`
}

// The headers of a session. Its bearer opens the UI, and so stands in no path,
// which proxies log.
const (
	bearerHeader  = "Session-Bearer"
	expiresHeader = "Session-Expires"
)

const (
	// maxPasswordBody is a password, every byte of it escaped.
	maxPasswordBody = 6*poolkeeper.MaxPassword + 4096
	maxClient       = 256
)

func (s *Server) accessRoutes() []route {
	const tag, sessions = "access", base + "/sessions"
	bearer := headerRule{bearerHeader, "the bearer of the session, percent-encoded", true, "5f0c9a77"}
	return []route{
		{method: http.MethodPut, path: base + "/password", id: "put-password", summary: "Set the UI password, which is kept hashed", tag: tag,
			body: &bodyRule{kind: smallBody, limit: maxPasswordBody, schema: passwordBody{}, example: `{"password":"correct horse battery"}`}, handle: s.putPassword},
		{method: http.MethodPost, path: base + "/password/verify", id: "verify-password", summary: "Tell whether a password is the UI password", tag: tag,
			limited: true, about: "After 10 that are not it within 5 minutes, a client is answered 429 for the rest of them. Say for whom you ask, so that one client does not lock out the others.",
			body:   &bodyRule{kind: smallBody, limit: maxPasswordBody, schema: verifyBody{}, example: `{"password":"correct horse battery","client":"203.0.113.7"}`},
			answer: answerRule{kind: jsonAnswer, about: "whether it is", schema: verdict{}, example: `{"valid":true}`}, handle: s.verifyPassword},
		{method: http.MethodGet, path: sessions, id: "get-session", summary: "Read a session that has not expired", tag: tag, codes: gone, headers: []headerRule{bearer},
			answer: answerRule{kind: jsonAnswer, about: "the document of the session as it is kept; its end is in Session-Expires", schema: anyObject{}}, handle: s.getSession},
		{method: http.MethodPut, path: sessions, id: "put-session", summary: "Begin a session, or change it", tag: tag,
			headers: []headerRule{bearer, {expiresHeader, "when it ends, as RFC 3339 writes it; never where it is left out", false, "2096-06-01T13:00:00Z"}},
			body:    &bodyRule{limit: poolkeeper.MaxDocument, about: "the document of the session, kept to the byte", schema: anyObject{}, example: `{"username":"admin"}`}, handle: s.putSession},
		{method: http.MethodDelete, path: sessions, id: "delete-session", summary: "End a session", tag: tag, codes: gone, headers: []headerRule{bearer}, handle: s.deleteSession},
	}
}

func (s *Server) putPassword(x *exchange) error {
	var b passwordBody
	if err := x.decode(&b, "password"); err != nil {
		return err
	}
	res, err := s.store.SetPassword(x.r.Context(), b.Password)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, res, news{id: res.ID})
}

func (s *Server) verifyPassword(x *exchange) error {
	var b verifyBody
	if err := x.decode(&b, "password"); err != nil {
		return err
	}
	const tooMany = "too many passwords were tried that are not it"
	now, wrong := s.now(), false
	peer := remoteHost(x.r)
	all, wait := s.passwords.begin(peer, maxPeerFailures, now)
	if wait > 0 {
		return x.tooMany(wait, tooMany)
	}
	defer func() { all(wrong) }()
	one, wait := s.passwords.begin(peer+"\x00"+b.Client, maxFailures, now)
	if wait > 0 {
		return x.tooMany(wait, tooMany)
	}
	defer func() { one(wrong) }()
	valid, err := s.store.VerifyPassword(x.r.Context(), b.Password)
	if err != nil {
		return err
	}
	wrong = !valid
	return x.sendValue(verdict{valid})
}

func (s *Server) getSession(x *exchange) error {
	bearer, err := x.bearer()
	if err != nil {
		return err
	}
	session, err := s.store.Session(x.r.Context(), bearer)
	if err != nil {
		return err
	}
	if !session.ExpiresAt.IsZero() {
		x.Header()[expiresHeader] = []string{session.ExpiresAt.UTC().Format("2006-01-02T15:04:05.000Z")}
	}
	x.send(http.StatusOK, jsonType, session.Document)
	return nil
}

func (s *Server) putSession(x *exchange) error {
	bearer, err := x.bearer()
	if err != nil {
		return err
	}
	var expires time.Time
	switch given := x.r.Header[expiresHeader]; len(given) {
	case 0:
	case 1:
		if expires, err = time.Parse(time.RFC3339, given[0]); err == nil && expires.UnixMilli() > 0 {
			break
		}
		fallthrough
	default:
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "%s is not one time as RFC 3339 writes it, such as 2026-05-29T22:10:00Z", expiresHeader)
	}
	res, err := s.store.PutSession(x.r.Context(), bearer, x.body, expires)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, res, news{id: res.ID})
}

func (s *Server) deleteSession(x *exchange) error {
	bearer, err := x.bearer()
	if err != nil {
		return err
	}
	res, err := s.store.DeleteSession(x.r.Context(), bearer)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, res, news{id: res.ID})
}

// bearer returns the bearer of a session, which no error names.
func (x *exchange) bearer() (string, error) {
	given := x.r.Header[bearerHeader]
	if len(given) == 1 && given[0] != "" {
		if bearer, err := url.PathUnescape(given[0]); err == nil {
			return bearer, nil
		}
	}
	return "", poolkeeper.Errorf(poolkeeper.ErrInvalid, "the header %s is not there once, with a percent-encoded bearer", bearerHeader)
}
