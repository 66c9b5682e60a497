package redisstore_test

import (
	"context"
	"errors"
	"net"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

// silent is a host:port that accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String() // the kernel accepts
}

// TestOpenEndsWithItsContext: whatever keeps a server from answering, Open does not
// outlast its context by the timeouts, which are an hour here.
func TestOpenEndsWithItsContext(t *testing.T) {
	paused := redistest.Start(t)
	group := redistest.StartSentinel(t)
	hours := &redisstore.Options{ConnectTimeout: time.Hour, CommandTimeout: time.Hour}
	quiet := silent(t)
	for name, url := range map[string]string{
		"accepts and never answers": "redis://" + quiet,
		"the same with TLS":         "rediss://" + quiet,
		"a stopped process":         paused.URL(),
		"a stopped process, socket": paused.SocketURL(),
		"packets are lost":          "redis://" + redistest.Deaf(t),
		"silent sentinels":          "redis://" + quiet + "," + silent(t) + "?master=m",
		"a silent master":           group.URL(),
		"silent seeds":              "redis://" + quiet + "," + silent(t) + "?cluster=true",
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range []*redistest.Server{paused, group.Master()} {
				s.Pause()
				t.Cleanup(s.Resume)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				s, err := redisstore.Open(ctx, url, hours)
				if err == nil {
					s.Close()
				}
				ended <- err
			}()
			select {
			case err := <-ended:
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the error is %v", err)
				}
			case <-time.After(30 * time.Second):
				t.Error("it goes on half a minute after its context has ended")
			}
		})
	}
}

// TestOpenedOutlivesItsContext: the connections that were made are kept when the
// context of the opening ends.
func TestOpenedOutlivesItsContext(t *testing.T) {
	srv := redistest.Start(t)
	ids := func() []string {
		var ids []string
		for _, m := range regexp.MustCompile(`(?m)^id=(\d+) .*name=poolkeeper `).FindAllStringSubmatch(srv.DoString("CLIENT", "LIST"), -1) {
			ids = append(ids, m[1])
		}
		return ids
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := redisstore.Open(ctx, srv.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	made := ids()
	if len(made) == 0 {
		t.Fatal("no connection was made")
	}
	cancel()
	for range 100 { // what the end sets off has had its turn by then
		if _, err := s.Load(t.Context(), poolkeeper.MetaKey); err != nil && !errors.Is(err, poolkeeper.ErrUninitialized) {
			t.Error(err)
		}
	}
	left := ids()
	for _, id := range made {
		if !slices.Contains(left, id) {
			t.Errorf("the connection %s of %v was closed: %v are left", id, made, left)
		}
	}
}
