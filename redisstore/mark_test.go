package redisstore_test

import (
	"errors"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

func TestMarkImport(t *testing.T) {
	r := newRig(t)
	p, b := r.proxied()
	marked := func() bool {
		info, err := r.b.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !info.Ready {
			t.Errorf("not ready: %s", info.Problem)
		}
		return info.Importing
	}
	for _, c := range []struct {
		run        string
		unfinished bool
		want       bool
	}{
		{"one", false, false}, {"one", true, true}, {"two", true, true}, {"one", false, true}, {"two", false, false}, {"two", false, false},
	} {
		// Each lost answer is asked for again.
		p.CutAfterRequest(1, "EVALSHA")
		if err := b.MarkImport(t.Context(), c.run, c.unfinished); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if got := marked(); got != c.want {
			t.Errorf("%+v: marked %v", c, got)
		}
	}
	if n := p.Counts()[redistest.FaultCutAfter]; n != 6 {
		t.Errorf("%d answers were lost", n)
	}
	r.srv.FlushAll()
	if err := b.MarkImport(t.Context(), "three", true); !errors.Is(err, poolkeeper.ErrLost) {
		t.Errorf("error %v, want ErrLost", err)
	}
	if n := r.srv.DoInt("DBSIZE"); n != 0 {
		t.Errorf("%d keys in a store that has lost everything", n)
	}
}
