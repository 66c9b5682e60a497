package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

func TestPassword(t *testing.T) {
	s := start(t)
	valid := func(password string) string {
		t.Helper()
		return s.want(200, "POST", "/password/verify", `{"password":`+password+`}`).body
	}
	const yes, no = "{\"valid\":true}\n", "{\"valid\":false}\n"
	for _, password := range []string{`"admin123"`, `""`, `" "`} { // there is no default
		equal(t, "without a password", valid(password), no)
	}
	a := s.want(200, "PUT", "/password", `{"password":" correct horse \u00e9 "}`)
	equal(t, "status", a.field(t, "status"), `"applied"`)
	equal(t, "right", valid(`"correct horse é"`), yes)
	equal(t, "wrong", valid(`"correct horse e"`), no)
	snap, err := s.store.Snapshot(context.Background())
	if err != nil || !strings.HasPrefix(string(snap.Values[poolkeeper.PasswordKey].Data), "pbkdf2:") {
		t.Errorf("the password is not kept hashed: %v", err)
	}
	before := s.state()
	for _, body := range []string{`{}`, `{"password":null}`, `{"password":12}`, `{"password":"short"}`, `{"password":"123456789012","x":1}`, `"123456789012"`} {
		s.want(400, "PUT", "/password", body)
	}
	s.want(413, "PUT", "/password", `{"password":"`+strings.Repeat("x", poolkeeper.MaxPassword)+`"}`)
	s.want(400, "PUT", "/password", `{"password":"123456789012"}`, "If-Match", "*")
	s.want(405, "GET", "/password", "")
	s.want(405, "GET", "/password/verify", "")
	equal(t, "state", s.state(), before)
	equal(t, "right", valid(`"correct horse é"`), yes)
}

// TestPasswordFailsClosed: where the store cannot be asked, nobody is let in.
func TestPasswordFailsClosed(t *testing.T) {
	g := gated(t)
	s := startOver(t, poolkeeper.New(g, nil))
	s.want(200, "PUT", "/password", `{"password":"correct horse"}`)
	g.fault = func() error { return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "away") }
	a := s.want(503, "POST", "/password/verify", `{"password":"correct horse"}`)
	if strings.Contains(a.body, "valid\":") {
		t.Errorf("it answers: %s", a.body)
	}
}

func TestSessions(t *testing.T) {
	s := start(t)
	const path, bearer, doc = "/sessions", "a%2Fb%20%C3%A9", `{"username": "admin", "n": 1.0}`
	s.want(404, "GET", path, "", "Session-Bearer", bearer)
	expires := time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
	s.want(200, "PUT", path, doc, "Session-Bearer", bearer, "Session-Expires", expires)
	a := s.want(200, "GET", path, "", "Session-Bearer", bearer)
	equal(t, "document", a.body, doc)
	equal(t, "end", a.header.Get("Session-Expires"), expires)
	if _, err := s.store.Session(context.Background(), "a/b é"); err != nil {
		t.Errorf("the bearer is another one in the store: %v", err)
	}
	s.want(200, "PUT", path, `{}`, "Session-Bearer", "x")
	equal(t, "no end", s.want(200, "GET", path, "", "Session-Bearer", "x").header.Get("Session-Expires"), "")
	before := s.state()
	for _, headers := range [][]string{
		{"Session-Bearer", ""},
		{"Session-Bearer", "%"},
		{"Session-Bearer", "%ff"},
		{"Session-Bearer", strings.Repeat("x", 1025)},
		{"Session-Bearer", bearer, "Session-Expires", "tomorrow"},
		{"Session-Bearer", bearer, "Session-Expires", "1960-01-01T00:00:00Z"},
		{"Session-Bearer", bearer, "Session-Expires", "2020-01-01T00:00:00Z"},
		{"Session-Bearer", bearer, "If-Match", "*"},
	} {
		s.want(400, "PUT", path, `{"other":1}`, headers...)
	}
	s.want(400, "GET", path, "")
	s.want(400, "DELETE", path, "")
	for _, body := range []string{`[]`, `{"a":`, `null`} {
		s.want(400, "PUT", path, body, "Session-Bearer", bearer)
	}
	equal(t, "state", s.state(), before)
	s.want(200, "DELETE", path, "", "Session-Bearer", bearer)
	s.want(404, "GET", path, "", "Session-Bearer", bearer)
	if log := s.log.String(); strings.Contains(log, "a/b") || strings.Contains(log, bearer) {
		t.Errorf("the log holds a bearer:\n%s", log)
	}
}

// TestSessionEnds: a session is gone once its time has come, whatever still
// keeps it.
func TestSessionEnds(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	st := poolkeeper.New(memstore.New(&memstore.Options{Now: clock}), &poolkeeper.Options{Now: clock})
	if err := st.Restore(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	s := startOver(t, st)
	s.want(http.StatusOK, "PUT", "/sessions", `{}`, "Session-Bearer", "x", "Session-Expires", "2026-06-01T13:00:00Z")
	now = now.Add(time.Hour - time.Millisecond)
	s.want(http.StatusOK, "GET", "/sessions", "", "Session-Bearer", "x")
	now = now.Add(time.Millisecond)
	s.want(http.StatusNotFound, "GET", "/sessions", "", "Session-Bearer", "x")
}
