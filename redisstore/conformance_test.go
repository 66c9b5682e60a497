package redisstore_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// harness opens stores under prefixes of their own on one Redis.
func harness(url string, tlsConfig *tls.Config) storetest.Harness {
	var n atomic.Int64
	var prefixes sync.Map
	open := func(t testing.TB, prefix string, now func() time.Time) poolkeeper.Backend {
		t.Helper()
		b, err := redisstore.Open(context.Background(), url, &redisstore.Options{Prefix: prefix, TLS: tlsConfig, Now: now,
			CommandTimeout: 20 * time.Second, RetryFor: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		prefixes.Store(poolkeeper.Backend(b), prefix)
		return b
	}
	return storetest.Harness{
		Open: func(t testing.TB, _ func() time.Time) poolkeeper.Backend {
			return open(t, fmt.Sprintf("t%d:", n.Add(1)), nil)
		},
		Reopen: func(t testing.TB, b poolkeeper.Backend) poolkeeper.Backend {
			prefix, _ := prefixes.Load(b)
			return open(t, prefix.(string), nil)
		},
		Shared: true,
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, harness(redistest.Start(t).SocketURL(), nil))
}

func TestConformanceOnCluster(t *testing.T) {
	storetest.Run(t, harness(redistest.StartCluster(t, 3).URL(), nil))
}

func TestLimits(t *testing.T) {
	storetest.Limits(t, harness(redistest.Start(t).SocketURL(), nil))
}

func TestModel(t *testing.T) {
	storetest.Model(t, harness(redistest.Start(t).SocketURL(), nil))
}

func TestLinearizable(t *testing.T) {
	storetest.Linearizable(t, harness(redistest.Start(t).SocketURL(), nil))
}
