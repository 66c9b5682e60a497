package memstore

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// opened returns an initialised store and a way to set its clock forward.
func opened(t *testing.T) (s *Store, advance func(time.Duration)) {
	t.Helper()
	now := time.UnixMilli(1_000_000_000_000)
	s = New(&Options{Now: func() time.Time { return now }})
	t.Cleanup(func() { s.Close() })
	if err := s.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return s, func(d time.Duration) { now = now.Add(d) }
}

func TestAliasEnds(t *testing.T) {
	s, advance := opened(t)
	key := poolkeeper.PoolKey("t")
	use := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: key, ID: "a", N: 1}
	rs := s.Apply(t.Context(), poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: key, ID: "a", Data: []byte(`{"uuid":"a"}`)},
		poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: key, ID: "a", NewID: "b"})
	if rs[0].Err != nil || rs[1].Err != nil {
		t.Fatal(rs)
	}
	advance((poolkeeper.AliasLife - 1) * time.Millisecond)
	if r := s.Apply(t.Context(), use)[0]; r.Err != nil || r.ID != "b" {
		t.Errorf("before its end: reached %q, error %v", r.ID, r.Err)
	}
	advance(time.Millisecond)
	if r := s.Apply(t.Context(), use)[0]; !errors.Is(r.Err, poolkeeper.ErrNotFound) {
		t.Errorf("after its end: reached %q, error %v", r.ID, r.Err)
	}
}

func TestExpiredSessionsAreForgotten(t *testing.T) {
	s, advance := opened(t)
	for i := range 10_000 {
		op := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.SessionKey(poolkeeper.SessionName(strconv.Itoa(i))),
			ExpiresAt: s.now().Add(time.Minute).UnixMilli()}
		if r := s.Apply(t.Context(), op)[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
		advance(time.Second)
	}
	if n := s.values[poolkeeper.KindSession].len(); n > 500 {
		t.Errorf("%d sessions are kept, of which 60 live", n)
	}
	if n := s.revisions.len(); n > 500 {
		t.Errorf("%d revisions are kept", n)
	}
}
