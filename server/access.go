package server

import (
	"net/http"
	"net/url"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A passwordBody is the body of both routes of the UI password.
type passwordBody struct {
	Password string `json:"password" doc:"the password; white space around it does not count"`
}

func (b *passwordBody) set(name string, raw []byte) error {
	if name == "password" {
		return readString(raw, &b.Password)
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

// maxPasswordBody is a password, every byte of it escaped.
const maxPasswordBody = 6*poolkeeper.MaxPassword + 4096

func (s *Server) accessRoutes() []route {
	const tag, sessions = "access", base + "/sessions"
	password := &bodyRule{kind: smallBody, limit: maxPasswordBody, schema: passwordBody{}, example: `{"password":"correct horse battery"}`}
	bearer := headerRule{bearerHeader, "the bearer of the session, percent-encoded", true, "5f0c9a77"}
	return []route{
		{method: http.MethodPut, path: base + "/password", id: "put-password", summary: "Set the UI password, which is kept hashed", tag: tag,
			body: password, handle: s.putPassword},
		{method: http.MethodPost, path: base + "/password/verify", id: "verify-password", summary: "Tell whether a password is the UI password", tag: tag,
			limited: true, about: "After too many that are not it, the answer is 429 for a while.",
			body: password, answer: answerRule{kind: jsonAnswer, about: "whether it is", schema: verdict{}, example: `{"valid":true}`}, handle: s.verifyPassword},
		{method: http.MethodGet, path: sessions, id: "get-session", summary: "Read a session that has not expired", tag: tag, missing: true, headers: []headerRule{bearer},
			answer: answerRule{kind: jsonAnswer, about: "the document of the session as it is kept; its end is in Session-Expires", schema: anyObject{}}, handle: s.getSession},
		{method: http.MethodPut, path: sessions, id: "put-session", summary: "Begin a session, or change it", tag: tag,
			headers: []headerRule{bearer, {expiresHeader, "when it ends, as RFC 3339 writes it; never where it is left out", false, "2096-06-01T13:00:00Z"}},
			body:    &bodyRule{limit: poolkeeper.MaxDocument, about: "the document of the session, kept to the byte", schema: anyObject{}, example: `{"username":"admin"}`}, handle: s.putSession},
		{method: http.MethodDelete, path: sessions, id: "delete-session", summary: "End a session", tag: tag, missing: true, headers: []headerRule{bearer}, handle: s.deleteSession},
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
	var b passwordBody
	if err := x.decode(&b, "password"); err != nil {
		return err
	}
	valid, err := s.store.VerifyPassword(x.r.Context(), b.Password)
	if err != nil {
		return err
	}
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
