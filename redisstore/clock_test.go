package redisstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

func off(d time.Duration) func(*redisstore.Options) {
	return func(o *redisstore.Options) { o.Now = func() time.Time { return time.Now().Add(d) } }
}

// Times of instances whose clocks are off are compared in the time of Redis: the
// decision that was taken later wins, and none is of the future.
func TestClockSkew(t *testing.T) {
	r := newRig(t)
	s := newSpool(t)
	ahead, behind := r.open(r.srv.SocketURL(), off(10*time.Minute), s.option), r.open(r.srv.SocketURL(), off(-10*time.Minute))
	check := func(healthy bool, at time.Time) poolkeeper.Op {
		op := poolOp(poolkeeper.OpHealth, "b")
		op.Healthy, op.Threshold, op.At = healthy, 3, at.UnixMilli()
		return op
	}
	// Taken a minute ago by the one whose clock is ahead, and replayed after the
	// other one has decided: that one is the later, though its clock says less.
	began := time.Now()
	queued := s.add(check(false, began.Add(10*time.Minute-time.Minute)))
	use := useOp("b", 1)
	use.At = began.Add(-10 * time.Minute).UnixMilli()
	r.must(behind, check(true, began.Add(-10*time.Minute)))
	r.must(behind, use)
	if res := ahead.Replay(t.Context(), queued)[0]; res.Err != nil || !res.Healthy {
		t.Errorf("the earlier decision: %+v", res)
	}
	state := func(field string) string { return r.srv.DoString("HGET", "t:state:{"+rigPool+"}", "b:"+field) }
	if got := state("isHealthy"); got != "true" {
		t.Errorf("isHealthy is %s", got)
	}
	near := func(field string, want time.Time) {
		t.Helper()
		got, err := time.Parse(`"2006-01-02T15:04:05.000Z"`, state(field))
		if err != nil || got.Sub(want).Abs() > 30*time.Second {
			t.Errorf("%s is %s, want about %s (%v)", field, state(field), want.UTC(), err)
		}
	}
	near("lastUsed", began)
	near("lastHealthCheckTime", began)
	// A later one of the instance that is ahead wins, and is not of the future; nor
	// is one whose caller says so.
	future := check(false, began.Add(24*time.Hour))
	if res := r.must(ahead, future); res.Healthy {
		t.Errorf("the later decision: %+v", res)
	}
	near("lastHealthCheckTime", began)
	if res := r.must(behind, check(true, time.Now().Add(-10*time.Minute))); !res.Healthy {
		t.Errorf("the last decision: %+v", res)
	}
	for b, want := range map[*redisstore.Store]string{ahead: "ahead of", behind: "behind"} {
		info, err := b.Info(t.Context())
		if d, perr := time.ParseDuration(info.Details["clockSkew"]); err != nil || perr != nil || d.Abs().Round(time.Minute) != 10*time.Minute || !strings.Contains(strings.Join(info.Warnings, " "), want) {
			t.Errorf("of a clock that is %s Info says %q, %v", want, info.Details["clockSkew"], info.Warnings)
		}
	}
	if info, _ := r.b.Info(t.Context()); info.Details["clockSkew"] != "" {
		t.Errorf("of a clock that is right Info says %q", info.Details["clockSkew"])
	}
}
