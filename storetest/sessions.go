package storetest

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

func session(bearer string, expires time.Time) poolkeeper.Op {
	op := putValue(poolkeeper.SessionKey(poolkeeper.SessionName(bearer)), string(poolkeeper.EncodeSession(bearer, []byte(`{"u":1}`))))
	if !expires.IsZero() {
		op.ExpiresAt = expires.UnixMilli()
	}
	return op
}

var sessionCases = []testCase{
	{"a session is there until it expires", func(t *testing.T, h Harness) {
		f := start(t, h)
		now := f.clock.now()
		// The last time that an op can have, and that before it.
		last := time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC)
		f.refuse(session("never", last.Add(time.Millisecond)), poolkeeper.ErrInvalid)
		f.do(session("last", last), session("before", last.Add(-time.Millisecond)))
		for bearer, want := range map[string]time.Time{"last": last, "before": last.Add(-time.Millisecond)} {
			key := poolkeeper.SessionKey(poolkeeper.SessionName(bearer))
			if d := f.load(key).Values[key]; d.ExpiresAt != want.UnixMilli() {
				t.Errorf("%s expires at %d, want %d", bearer, d.ExpiresAt, want.UnixMilli())
			}
			if r := f.do(session(bearer, want)); r.Changed {
				t.Errorf("%s again has changed something", bearer)
			}
		}
		f.do(session("forever", time.Time{}), session("long", now.Add(24*time.Hour)), session("gone", now.Add(-time.Hour)))
		snap := f.load(poolkeeper.Key{Kind: poolkeeper.KindSession})
		for bearer, want := range map[string]bool{"forever": true, "long": true, "gone": false} {
			key := poolkeeper.SessionKey(poolkeeper.SessionName(bearer))
			d, ok := snap.Values[key]
			if _, alone := f.load(key).Values[key]; ok != want || alone != want {
				t.Errorf("session %q: among all %v, alone %v, want %v", bearer, ok, alone, want)
			}
			if bearer == "long" && d.ExpiresAt != now.Add(24*time.Hour).UnixMilli() {
				t.Errorf("it expires at %d, want %d", d.ExpiresAt, now.Add(24*time.Hour).UnixMilli())
			}
		}
		f.refuse(removeValue(poolkeeper.SessionKey(poolkeeper.SessionName("gone"))), poolkeeper.ErrNotFound)
		f.do(given(poolkeeper.IfAbsent, session("gone", now.Add(time.Hour))))
	}},
	{"a session ends when its time comes", func(t *testing.T, h Harness) {
		f := start(t, h)
		key := poolkeeper.SessionKey(poolkeeper.SessionName("short"))
		there := func() bool { _, ok := f.load(key).Values[key]; return ok }
		if h.OwnClock {
			f.do(session("short", f.clock.now().Add(time.Hour)))
			f.clock.advance(59 * time.Minute)
			if !there() {
				t.Error("it ended before its time")
			}
			f.clock.advance(2 * time.Minute)
		} else {
			f.do(session("short", f.clock.now().Add(300*time.Millisecond)))
			for end := time.Now().Add(10 * time.Second); there() && time.Now().Before(end); {
				time.Sleep(20 * time.Millisecond)
			}
		}
		if there() || len(f.load().Values) != 0 {
			t.Error("it is there after its time")
		}
	}},
	{"another put changes the expiry", func(t *testing.T, h Harness) {
		f := start(t, h)
		day, week := f.clock.now().Add(24*time.Hour), f.clock.now().Add(7*24*time.Hour)
		f.do(session("s", day))
		for _, c := range []struct {
			expires time.Time
			changed bool
		}{{day, false}, {week, true}, {time.Time{}, true}, {time.Time{}, false}, {day, true}} {
			res := f.do(session("s", c.expires))
			want := int64(0)
			if !c.expires.IsZero() {
				want = c.expires.UnixMilli()
			}
			key := poolkeeper.SessionKey(poolkeeper.SessionName("s"))
			if got := f.load(key).Values[key].ExpiresAt; got != want || res.Changed != c.changed {
				t.Errorf("expires at %d, want %d; changed %v, want %v", got, want, res.Changed, c.changed)
			}
		}
	}},
	{"sessions that have expired do not pile up in reads", func(t *testing.T, h Harness) {
		f := start(t, h)
		now := f.clock.now()
		for i := range 200 {
			expires := now.Add(-time.Minute)
			if i%10 == 0 {
				expires = now.Add(24 * time.Hour)
			}
			f.do(session(strconv.Itoa(i), expires))
		}
		if n := len(f.load(poolkeeper.Key{Kind: poolkeeper.KindSession}).Values); n != 20 {
			t.Errorf("%d sessions, want 20", n)
		}
	}},
	{"a Store finds the session of a bearer and no other", func(t *testing.T, h Harness) {
		f := start(t, h)
		s := f.store()
		expires := f.clock.now().Add(24 * time.Hour).Truncate(time.Millisecond)
		doc := []byte(`{"username":"admin" , "loginTime":1.0}`)
		if _, err := s.PutSession(f.ctx, "tok en:1", doc, expires); err != nil {
			t.Fatal(err)
		}
		got, err := s.Session(f.ctx, "tok en:1")
		if err != nil || string(got.Document) != string(doc) || !got.ExpiresAt.Equal(expires) {
			t.Errorf("session %+v, error %v", got, err)
		}
		if _, err := s.Session(f.ctx, "tok en:2"); !errors.Is(err, poolkeeper.ErrNotFound) {
			t.Errorf("another bearer: error %v", err)
		}
		if _, err := s.PutSession(f.ctx, "late", doc, f.clock.now().Add(-time.Second)); !errors.Is(err, poolkeeper.ErrInvalid) {
			t.Errorf("an expiry in the past: error %v", err)
		}
		if _, err := s.DeleteSession(f.ctx, "tok en:1"); err != nil {
			t.Error(err)
		}
		if _, err := s.Session(f.ctx, "tok en:1"); !errors.Is(err, poolkeeper.ErrNotFound) {
			t.Errorf("after it was deleted: error %v", err)
		}
	}},
}
