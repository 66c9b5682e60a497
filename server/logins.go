package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"sync"
	"time"
)

const (
	sessionLife = 12 * time.Hour
	codeLife    = 10 * time.Minute
	maxSessions = 1000
)

type secretHash = [sha256.Size]byte

// logins are the browsers that are let in without showing the key each time. It
// is kept in memory: the end of the service logs everybody out.
type logins struct {
	mu        sync.Mutex
	code      secretHash
	codeUntil time.Time // zero where there is no code
	sessions  map[secretHash]time.Time
	tries     attempts // by address
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
