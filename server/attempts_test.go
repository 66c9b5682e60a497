package server

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// verifyService has a password and a clock that a test sets.
func verifyService(t *testing.T) (s *service, verify func(status int, password, client string) answer, advance func(time.Duration)) {
	t.Helper()
	s, _, advance = loginService(t)
	// As a gateway's own pwd file has it: to compare it costs nothing.
	op := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.PasswordKey, Data: []byte("correct horse")}
	if err := s.store.Apply(t.Context(), op)[0].Err; err != nil {
		t.Fatal(err)
	}
	return s, func(status int, password, client string) answer {
		t.Helper()
		body := fmt.Sprintf(`{"password":%q`, password)
		if client != "" {
			body += fmt.Sprintf(`,"client":%q`, client)
		}
		return s.want(status, "POST", "/password/verify", body+"}")
	}, advance
}

// TestVerifyLimits: who tries too many passwords waits, with the right one too;
// the other clients of the gateway do not, unless all of them together are too
// many.
func TestVerifyLimits(t *testing.T) {
	s, verify, advance := verifyService(t)
	for range maxFailures - 1 {
		verify(200, "wrong", "203.0.113.7")
	}
	equal(t, "the right one", verify(200, "correct horse", "203.0.113.7").body, "{\"valid\":true}\n")
	verify(200, "wrong", "203.0.113.7")
	a := verify(429, "wrong", "203.0.113.7")
	equal(t, "how long to wait", a.header.Get("Retry-After"), "300")
	equal(t, "code", a.field(t, "code"), `"forbidden"`)
	advance(time.Minute)
	a = verify(429, "correct horse", "203.0.113.7")
	equal(t, "how long to wait", a.header.Get("Retry-After"), "240")
	if strings.Contains(a.body, "valid") {
		t.Errorf("it tells: %s", a.body)
	}
	equal(t, "another client", verify(200, "correct horse", "203.0.113.8").body, "{\"valid\":true}\n")
	equal(t, "no client", verify(200, "correct horse", "").body, "{\"valid\":true}\n")
	s.want(200, "GET", "/status", "") // the key is good for all else
	advance(4 * time.Minute)
	equal(t, "after the time", verify(200, "correct horse", "203.0.113.7").body, "{\"valid\":true}\n")

	// Without a client it is the gateway that tries.
	for range maxFailures {
		verify(200, "wrong", "")
	}
	verify(429, "correct horse", "")
	verify(200, "correct horse", "203.0.113.8")

	// All clients together.
	for i := range maxPeerFailures - maxFailures {
		verify(200, "wrong", fmt.Sprint("client ", i))
	}
	verify(429, "correct horse", "203.0.113.8")
	advance(failureLife)
	verify(200, "correct horse", "203.0.113.8")

	for body, names := range map[string]string{
		`{"client":"x"}`:                 "password",
		`{"password":"x","client":1}`:    "client",
		`{"password":"x","client":null}`: "client",
		`{"password":"x","client":"` + strings.Repeat("x", maxClient+1) + `"}`: "client",
	} {
		if a := s.want(400, "POST", "/password/verify", body); !strings.Contains(a.field(t, "errors"), `"#/`+names+`"`) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	if log := s.log.String(); strings.Contains(log, "203.0.113") || strings.Contains(log, "horse") {
		t.Errorf("the log holds what was sent:\n%s", log)
	}
}

// TestVerifyAtOnce: many attempts at once are no more than many in a row.
func TestVerifyAtOnce(t *testing.T) {
	s, _, _ := verifyService(t)
	var tried, barred atomic.Int64
	var wg sync.WaitGroup
	for range 20 * maxFailures {
		wg.Go(func() {
			switch res, body, err := s.try("POST", base+"/password/verify", `{"password":"wrong","client":"x"}`); {
			case err != nil:
				t.Error(err)
			case res.StatusCode == 200:
				tried.Add(1)
			case res.StatusCode == 429:
				barred.Add(1)
			default:
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
	wg.Wait()
	if tried.Load() != maxFailures || barred.Load() != 19*maxFailures {
		t.Errorf("%d were tried and %d were not", tried.Load(), barred.Load())
	}
}

// TestVerifyOfNoStore: a store that cannot be asked is no wrong password.
func TestVerifyOfNoStore(t *testing.T) {
	g := gated(t)
	s := startOver(t, poolkeeper.New(g, nil))
	g.fault = func() error { return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "away") }
	for range 2 * maxFailures {
		s.want(503, "POST", "/password/verify", `{"password":"x"}`)
	}
	g.fault = nil
	s.want(200, "POST", "/password/verify", `{"password":"x"}`)
	if n := len(s.srv.passwords.by); n != 2 {
		t.Errorf("%d are kept in mind", n)
	}
}

// TestAttempts: what is under way counts as failed until it is known not to be.
func TestAttempts(t *testing.T) {
	var a attempts
	now := time.Now()
	var ends []func(bool)
	for range maxFailures {
		end, wait := a.begin("x", maxFailures, now)
		if wait != 0 {
			t.Fatalf("it waits %v", wait)
		}
		ends = append(ends, end)
	}
	if _, wait := a.begin("x", maxFailures, now); wait != time.Second {
		t.Errorf("one more waits %v", wait)
	}
	ends[0](false)
	end, wait := a.begin("x", maxFailures, now)
	if wait != 0 {
		t.Errorf("after one that was right it waits %v", wait)
	}
	for _, end := range append(ends[1:], end) {
		end(true)
	}
	if _, wait := a.begin("x", maxFailures, now.Add(time.Minute)); wait != failureLife-time.Minute {
		t.Errorf("after %d failures it waits %v", maxFailures, wait)
	}
	if end, _ := a.begin("x", maxFailures, now.Add(failureLife)); end == nil {
		t.Error("failures are not forgotten")
	} else if end(false); len(a.by) != 0 {
		t.Errorf("%d are kept in mind", len(a.by))
	}
}
