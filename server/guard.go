package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// admit decides whether a request may go on at all. Host and Origin come first,
// so that a page in somebody's browser cannot even try keys.
func (s *Server) admit(r *http.Request) error {
	if !s.hostAllowed(r) {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "the Host header names none of this service's hosts").
			WithHint("add the name to the allowed hosts of the service, POOLKEEPER_ALLOWED_HOSTS")
	}
	if !s.sameOrigin(r) {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "requests from pages of another origin are refused")
	}
	switch r.URL.Path {
	case pathHealthz, pathReadyz, pathOpenAPI, pathDocs:
		return nil
	case pathLogin:
		if r.Method == http.MethodPost {
			return nil // it looks at the code, or the key, by itself
		}
	}
	return s.authorize(r)
}

// authorize lets in who shows the key, or the cookie of a session. A key that is
// shown counts alone.
func (s *Server) authorize(r *http.Request) error {
	if len(r.Header["Authorization"]) == 0 {
		if c, err := r.Cookie(cookieName); err == nil {
			return s.authorizeCookie(r, c.Value)
		}
	}
	return s.authorizeKey(r)
}

// authorizeKey checks the key, in constant time: both are hashed first, so that
// not even the length shows.
func (s *Server) authorizeKey(r *http.Request) error {
	given := r.Header["Authorization"]
	if len(given) == 0 {
		return poolkeeper.Errorf(poolkeeper.ErrUnauthorized, "there is no API key").
			WithHint("send it as Authorization: Bearer KEY")
	}
	if len(given) == 1 && s.hasKey {
		scheme, key, _ := strings.Cut(given[0], " ")
		hash := sha256.Sum256([]byte(strings.TrimSpace(key)))
		if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(hash[:], s.keyHash[:]) == 1 {
			return nil
		}
	}
	return poolkeeper.Errorf(poolkeeper.ErrUnauthorized, "the API key is not the one of this service").
		WithHint("send it as Authorization: Bearer KEY")
}
