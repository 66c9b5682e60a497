package replica_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/replica"
	"github.com/poolkeeper/poolkeeper/storetest"
)

func over(t testing.TB, source replica.Source, now func() time.Time) *replica.Replica {
	t.Helper()
	r, err := replica.Open(context.Background(), source, &replica.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// alone is a harness of one Replica over one store.
func alone(open func(testing.TB, func() time.Time) replica.Source, ownClock bool) storetest.Harness {
	return storetest.Harness{
		Open:     func(t testing.TB, now func() time.Time) poolkeeper.Backend { return over(t, open(t, now), now) },
		OwnClock: ownClock,
	}
}

func inMemory(_ testing.TB, now func() time.Time) replica.Source {
	return memstore.New(&memstore.Options{Now: now})
}

// inRedis opens stores under prefixes of their own on one Redis.
func inRedis(url string) func(testing.TB, func() time.Time) replica.Source {
	var n atomic.Int64
	return func(t testing.TB, _ func() time.Time) replica.Source {
		return openRedis(t, url, fmt.Sprintf("t%d:", n.Add(1)))
	}
}

func openRedis(t testing.TB, url, prefix string) *redisstore.Store {
	t.Helper()
	b, err := redisstore.Open(context.Background(), url, &redisstore.Options{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// settled is a Replica beside others on the same store. What others have written
// is read from it a moment later: its reads wait until it is there, for the suite,
// which knows no such moment.
type settled struct {
	*replica.Replica
	source replica.Source
}

func (s *settled) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	want, err := s.source.Load(ctx, keys...)
	if err != nil {
		return s.Replica.Load(ctx, keys...)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		got, err := s.Replica.Load(ctx, keys...)
		if err != nil || caughtUp(want, got) || time.Now().After(end) {
			return got, err
		}
	}
}

// caughtUp reports whether a snapshot is as new as another one.
func caughtUp(want, got *poolkeeper.Snapshot) bool {
	for typ, p := range want.Pools {
		if got.Pools[typ] == nil || got.Pools[typ].Revision.Number < p.Revision.Number {
			return false
		}
	}
	for key, d := range want.Values {
		if have, ok := got.Values[key]; !ok || have.Revision.Number < d.Revision.Number {
			return false
		}
	}
	for typ := range got.Pools {
		if want.Pools[typ] == nil {
			return false
		}
	}
	for key := range got.Values {
		if _, ok := want.Values[key]; !ok {
			return false
		}
	}
	return fmt.Sprint(want.Types) == fmt.Sprint(got.Types) && fmt.Sprint(want.Aliases) == fmt.Sprint(got.Aliases)
}

// together is a harness of several Replicas over one store in Redis.
func together(url string) storetest.Harness {
	var n atomic.Int64
	var prefixes sync.Map
	open := func(t testing.TB, prefix string) poolkeeper.Backend {
		source := openRedis(t, url, prefix)
		s := &settled{over(t, source, nil), source}
		prefixes.Store(poolkeeper.Backend(s), prefix)
		return s
	}
	return storetest.Harness{
		Open: func(t testing.TB, _ func() time.Time) poolkeeper.Backend {
			return open(t, fmt.Sprintf("t%d:", n.Add(1)))
		},
		Reopen: func(t testing.TB, b poolkeeper.Backend) poolkeeper.Backend {
			prefix, _ := prefixes.Load(b)
			return open(t, prefix.(string))
		},
		Shared: true,
	}
}

func TestConformance(t *testing.T) { storetest.Run(t, alone(inMemory, true)) }
func TestModel(t *testing.T)       { storetest.Model(t, alone(inMemory, true)) }

func TestConformanceOnRedis(t *testing.T) {
	storetest.Run(t, alone(inRedis(redistest.Start(t).SocketURL()), false))
}

func TestConformanceOnCluster(t *testing.T) {
	storetest.Run(t, alone(inRedis(redistest.StartCluster(t, 3).URL()), false))
}

func TestConformanceOfSeveral(t *testing.T) {
	storetest.Run(t, together(redistest.Start(t).SocketURL()))
}

func TestModelOfSeveral(t *testing.T) {
	storetest.Model(t, together(redistest.Start(t).SocketURL()))
}

func replicaOver(source replica.Source, base *poolkeeper.Snapshot) (*replica.Replica, error) {
	return replica.Open(context.Background(), source, &replica.Options{Base: base})
}

func contains(data []byte, part string) bool { return bytes.Contains(data, []byte(part)) }
