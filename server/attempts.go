package server

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

const (
	// Failed attempts at a secret by one who tries: so many within the time, then
	// none for the rest of it.
	maxFailures = 10
	failureLife = 5 * time.Minute
	// maxPeerFailures is the same for all clients that one gateway asks for.
	maxPeerFailures = 100
	maxTriers       = 10_000
)

// attempts counts the failed attempts at a secret, by who tries. Those under way
// count as well until their outcome is known: many at once are no more than many
// in a row.
type attempts struct {
	mu sync.Mutex
	by map[string]*tries
}

type tries struct {
	failed, open int
	until        time.Time // when the failures are forgotten
}

// begin lets an attempt begin, or says how long to wait before the next one. With
// an attempt that has begun end must be called, exactly once.
func (a *attempts) begin(who string, most int, now time.Time) (end func(failed bool), wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = map[string]*tries{}
	}
	t := a.by[who]
	if t == nil {
		if len(a.by) >= maxTriers {
			a.forget(now)
		}
		if len(a.by) >= maxTriers {
			who = "" // all further ones together
		}
		if t = a.by[who]; t == nil {
			t = &tries{}
			a.by[who] = t
		}
	}
	if t.failed > 0 && !now.Before(t.until) {
		t.failed = 0
	}
	switch {
	case t.failed >= most:
		return nil, t.until.Sub(now)
	case t.failed+t.open >= most:
		return nil, time.Second // as soon as some of them are known
	}
	t.open++
	return func(failed bool) {
		a.mu.Lock()
		defer a.mu.Unlock()
		t.open--
		if failed {
			if t.failed++; t.failed == 1 {
				t.until = now.Add(failureLife)
			}
		}
		if t.failed == 0 && t.open == 0 {
			delete(a.by, who)
		}
	}, 0
}

// forget drops the entries that mean nothing any more.
func (a *attempts) forget(now time.Time) {
	for who, t := range a.by {
		if t.open == 0 && !now.Before(t.until) {
			delete(a.by, who)
		}
	}
}

// tooMany refuses an attempt; the answer says how long to wait.
func (x *exchange) tooMany(wait time.Duration, what string) error {
	x.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	return &refusal{status: http.StatusTooManyRequests,
		error: poolkeeper.Errorf(poolkeeper.ErrForbidden, "%s", what).WithHint("wait as long as Retry-After says")}
}
