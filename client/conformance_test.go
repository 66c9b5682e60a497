package client_test

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/client"
	"github.com/poolkeeper/poolkeeper/filestore"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/server"
	"github.com/poolkeeper/poolkeeper/storetest"
)

const testKey = "test-key-0123456789"

// serve serves a backend until the test ends, and returns where.
func serve(t testing.TB, b poolkeeper.Backend) string {
	t.Helper()
	st := poolkeeper.New(b, nil)
	hs := httptest.NewServer(server.New(st, &server.Options{Key: testKey}).Handler())
	t.Cleanup(func() {
		hs.Close()
		st.Close()
	})
	return hs.URL
}

// serveSocket serves a backend on a unix socket.
func serveSocket(t testing.TB, b poolkeeper.Backend) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.sock")
	serveAt(t, path, b)
	return "unix://" + path
}

func serveAt(t testing.TB, path string, b poolkeeper.Backend) {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	st := poolkeeper.New(b, nil)
	hs := httptest.NewUnstartedServer(server.New(st, &server.Options{Key: testKey}).Handler())
	hs.Listener.Close()
	hs.Listener = ln
	hs.Start()
	t.Cleanup(func() {
		hs.Close()
		st.Close()
	})
}

// dial returns a client of a service.
func dial(t testing.TB, url string, opts *client.Options) *client.Client {
	t.Helper()
	c, err := client.New(url, testKey, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// harness opens backends, each behind a service of its own. More handles are more
// clients of that service.
func harness(open func(t testing.TB, now func() time.Time) poolkeeper.Backend, ownClock bool,
	serve func(testing.TB, poolkeeper.Backend) string) storetest.Harness {
	var urls sync.Map // of the service of each client
	connect := func(t testing.TB, url string) poolkeeper.Backend {
		c := dial(t, url, nil)
		urls.Store(poolkeeper.Backend(c), url)
		return c
	}
	return storetest.Harness{
		Open: func(t testing.TB, now func() time.Time) poolkeeper.Backend { return connect(t, serve(t, open(t, now))) },
		Reopen: func(t testing.TB, b poolkeeper.Backend) poolkeeper.Backend {
			url, _ := urls.Load(b)
			return connect(t, url.(string))
		},
		Shared:   true,
		OwnClock: ownClock,
	}
}

func inMemory(_ testing.TB, now func() time.Time) poolkeeper.Backend {
	return memstore.New(&memstore.Options{Now: now})
}

// onFiles opens stores in directories of their own.
func onFiles(t testing.TB, now func() time.Time) poolkeeper.Backend {
	s, err := filestore.Open(context.Background(), filepath.Join(t.TempDir(), "configs"), &filestore.Options{Lag: time.Millisecond, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// inRedis opens stores under prefixes of their own on one Redis.
func inRedis(t *testing.T) func(testing.TB, func() time.Time) poolkeeper.Backend {
	url := redistest.Start(t).SocketURL()
	var n atomic.Int64
	return func(t testing.TB, _ func() time.Time) poolkeeper.Backend {
		b, err := redisstore.Open(context.Background(), url, &redisstore.Options{Prefix: fmt.Sprintf("t%d:", n.Add(1))})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

func TestConformance(t *testing.T)  { storetest.Run(t, harness(inMemory, true, serve)) }
func TestModel(t *testing.T)        { storetest.Model(t, harness(inMemory, true, serveSocket)) }
func TestLinearizable(t *testing.T) { storetest.Linearizable(t, harness(inMemory, true, serve)) }
func TestLimits(t *testing.T)       { storetest.Limits(t, harness(inMemory, true, serve)) }

func TestConformanceOnFiles(t *testing.T) { storetest.Run(t, harness(onFiles, true, serveSocket)) }
func TestConformanceOnRedis(t *testing.T) { storetest.Run(t, harness(inRedis(t), false, serveSocket)) }
func TestModelOnRedis(t *testing.T)       { storetest.Model(t, harness(inRedis(t), false, serve)) }
func TestLinearizableOnRedis(t *testing.T) {
	storetest.Linearizable(t, harness(inRedis(t), false, serve))
}
